-- KEYS: m, t. ARGV: token, lease
if redis.call('EXISTS', KEYS[1]) == 0 then return {'GONE', 0} end
local held = redis.call('GET', KEYS[2])
if held and held ~= ARGV[1] then return {'HELD', redis.call('PTTL', KEYS[2])} end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {'OK', 0}
