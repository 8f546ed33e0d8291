-- ARGV: request, cost, what the names of all keys begin with, (interval, units)*
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
let_go(ARGV[1], ARGV[3], ARGV[2])
local now = now_us()
for i = 3, #KEYS do
  local at = 4 + (i - 3) * 2
  local arrival = math.max(tat(KEYS[i]) or now, now)
  keep_tat(KEYS[i], math.max(now, arrival + tonumber(ARGV[at]) * tonumber(ARGV[at + 1])), now)
end
return 1
