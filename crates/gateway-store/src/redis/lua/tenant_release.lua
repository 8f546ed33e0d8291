-- A tenant no longer keeps a thing. KEYS: z, h. ARGV: name
local bytes = redis.call('HGET', KEYS[2], ARGV[1])
if not bytes then return 0 end
redis.call('HINCRBYFLOAT', KEYS[2], 'sum', -tonumber(bytes))
redis.call('HINCRBY', KEYS[2], 'n:' .. string.sub(ARGV[1], 1, 1), -1)
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
