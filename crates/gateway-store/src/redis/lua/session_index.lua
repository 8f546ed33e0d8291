-- KEYS: the list of a tenant's sessions. ARGV: how long it lives at least, how many it may hold,
-- a session to add (may be empty)
if ARGV[3] ~= '' then redis.call('ZADD', KEYS[1], 0, ARGV[3]) end
local over = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[2])
if over > 0 then redis.call('ZREMRANGEBYRANK', KEYS[1], 0, over - 1) end
keep(KEYS[1], tonumber(ARGV[1]))
return 0
