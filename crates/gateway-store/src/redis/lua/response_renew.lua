-- KEYS: h, e. ARGV: schema, lease. Says whether the response is in progress.
local h = redis.call('HMGET', KEYS[1], 'v', 'open')
if h[1] ~= ARGV[1] or h[2] ~= '1' then return 0 end
redis.call('HSET', KEYS[1], 'lease', text(now_ms() + tonumber(ARGV[2])))
return 1
