-- Sets the sum spent of a budget to nothing, and returns what it was.
-- KEYS: the state of a key's limits. ARGV: the budget, what the names of older sums begin with
local name = ARGV[1]
local before = tonumber(redis.call('GET', ARGV[2] .. name) or 0)
redis.call('DEL', ARGV[2] .. name)
local raw = redis.call('GET', KEYS[1])
if not raw then return before end
local state = cmsgpack.unpack(raw)
for _, it in pairs(state.h) do
  -- What was written off is part of the sum that is forgotten.
  if it.b[name] then it.b[name][3] = 0 end
end
local total = state.b[name]
if total then before, total[1] = total[1], 0 end
redis.call('SET', KEYS[1], cmsgpack.pack(state), 'KEEPTTL')
return before
