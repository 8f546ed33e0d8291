-- KEYS: keys by id, the version. ARGV: id, the key that is expected, the key to put in its place, (id, key to add)*
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
if redis.call('HLEN', KEYS[1]) + (#ARGV - 3) / 2 > 10000 then
  return -1
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
for at = 4, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1]) end
redis.call('INCR', KEYS[2])
return 1
