-- KEYS: runs, by the end of their leases. ARGV: one that is over.
return redis.call('ZREM', KEYS[1], ARGV[1])
