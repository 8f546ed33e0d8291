-- ARGV: schema, ttl, version, turn, bytes, number of context members, (name, value)*, record*
if redis.call('EXISTS', KEYS[1]) == 1 then return {'TAKEN', 0, 0} end
redis.call('DEL', KEYS[2], KEYS[3])
local now, n, at = now_ms(), tonumber(ARGV[6]), 7
local expires = now + tonumber(ARGV[2])
local messages = #ARGV - 6 - 2 * n
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'ver', ARGV[3], 'turn', ARGV[4], 'bytes', ARGV[5],
           'msgs', messages, 'created', text(now), 'expires', text(expires),
           'ttl', ARGV[2])
for _ = 1, n do
  redis.call('HSET', KEYS[1], 'c:' .. ARGV[at], ARGV[at + 1])
  at = at + 2
end
for i = at, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[i]) end
expire_at(expires)
return {'OK', now, expires}
