-- KEYS: h. ARGV: token
local h = redis.call('HMGET', KEYS[1], 'token', 'status')
if h[1] == ARGV[1] and not h[2] then redis.call('DEL', KEYS[1]) end
return 0
