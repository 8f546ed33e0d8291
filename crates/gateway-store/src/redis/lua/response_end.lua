-- KEYS: h, e. ARGV: schema, ttl, body. Ends a response whose writer has crashed; says whether it had.
local h = redis.call('HMGET', KEYS[1], 'v', 'open', 'lease')
if h[1] ~= ARGV[1] or lease_left(h[2], h[3]) ~= '0' then return 0 end
redis.call('HSET', KEYS[1], 'open', '0', 'body', ARGV[3])
redis.call('HDEL', KEYS[1], 'lease')
expire_at(now_ms() + tonumber(ARGV[2]))
return 1
