-- KEYS: names in order, indexes by name, lines by name, the number of requests.
-- ARGV: name, index, lines, rows, most requests, name before which nothing is kept, lifetime
local order, indexes, lines, count = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
if redis.call('HSETNX', indexes, ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('HSET', lines, ARGV[1], ARGV[3])
redis.call('ZADD', order, 0, ARGV[1])
local left = redis.call('INCRBY', count, ARGV[4])
local most, oldest = tonumber(ARGV[5]), ARGV[6]
for _ = 1, 1000 do
  local first = redis.call('ZRANGE', order, 0, 0)[1]
  if not first or (first >= oldest and left <= most) then break end
  -- An index has 16 bytes for each request.
  local rows = redis.call('HSTRLEN', indexes, first) / 16
  redis.call('ZREM', order, first)
  redis.call('HDEL', indexes, first)
  redis.call('HDEL', lines, first)
  left = redis.call('DECRBY', count, text(rows))
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[7]) end
return 1
