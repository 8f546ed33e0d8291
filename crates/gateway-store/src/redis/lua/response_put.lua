-- KEYS: h (hash), e (list of steps). ARGV: schema, ttl, in progress, body, lease (-1: none)
local found = redis.call('HGET', KEYS[1], 'v')
if found and found ~= ARGV[1] then return {'SCHEMA', tonumber(found) or 0} end
if not found then redis.call('DEL', KEYS[2]) end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'open', ARGV[3], 'body', ARGV[4])
if ARGV[5] == '-1' then redis.call('HDEL', KEYS[1], 'lease')
else redis.call('HSET', KEYS[1], 'lease', text(now_ms() + tonumber(ARGV[5]))) end
redis.call('HSETNX', KEYS[1], 'n', 0)
redis.call('HSETNX', KEYS[1], 'bytes', 0)
expire_at(now_ms() + tonumber(ARGV[2]))
return {'OK', 0}
