-- KEYS: names in order, indexes by name. ARGV: the newest name, the oldest name, how many
local names = redis.call('ZREVRANGEBYLEX', KEYS[1], '[' .. ARGV[1], '[' .. ARGV[2], 'LIMIT', 0, ARGV[3])
if #names == 0 then return {} end
local indexes = redis.call('HMGET', KEYS[2], unpack(names))
local found = {}
for i, name in ipairs(names) do
  found[#found + 1] = name
  found[#found + 1] = indexes[i] or ''
end
return found
