-- KEYS: gateways, by when they were last there. ARGV: this one, for how long it counts
local now = now_ms()
redis.call('ZADD', KEYS[1], text(now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now - tonumber(ARGV[2])))
redis.call('PEXPIRE', KEYS[1], text(tonumber(ARGV[2]) * 2))
return redis.call('ZCARD', KEYS[1])
