-- KEYS: lines by name. ARGV: names
local found = redis.call('HMGET', KEYS[1], unpack(ARGV))
for i = 1, #ARGV do found[i] = found[i] or '' end
return found
