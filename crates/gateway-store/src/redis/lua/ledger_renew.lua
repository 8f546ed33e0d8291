-- KEYS: runs, by the end of their leases. ARGV: this one, its lease, how long the runs are kept.
-- Returns the runs whose lease has ended.
local now = now_ms()
redis.call('ZADD', KEYS[1], text(now + tonumber(ARGV[2])), ARGV[1])
keep(KEYS[1], tonumber(ARGV[3]))
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', text(now))
