-- KEYS: m, l, d, t. Says whether there was a session.
local found = redis.call('EXISTS', KEYS[1])
redis.call('DEL', unpack(KEYS))
return found
