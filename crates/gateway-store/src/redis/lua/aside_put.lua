-- KEYS: the aside, the order of the tenant's asides. ARGV: value, ttl, id, limit, prefix of asides
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('ZADD', KEYS[2], 'NX', text(now_us()), ARGV[3])
keep(KEYS[2], tonumber(ARGV[2]))
for _ = 1, 8 do
  local oldest = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
  local full = redis.call('ZCARD', KEYS[2]) > tonumber(ARGV[4])
  if not full and redis.call('EXISTS', ARGV[5] .. oldest) == 1 then break end
  redis.call('DEL', ARGV[5] .. oldest)
  redis.call('ZREM', KEYS[2], oldest)
end
return 0
