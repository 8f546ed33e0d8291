-- ARGV: request, cost, prefix of what is spent, (interval, units)*
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
local reserved = redis.call('HGET', KEYS[2], ARGV[1])
if reserved then
  redis.call('HDEL', KEYS[2], ARGV[1])
  local _, kept, period = string.match(reserved, '^(%d+) (%d+) (.*)$')
  redis.call('INCRBY', ARGV[3] .. period, ARGV[2])
  keep(ARGV[3] .. period, tonumber(kept))
end
local now = now_us()
for i = 3, #KEYS do
  local at = 4 + (i - 3) * 2
  local arrival = math.max(tat(KEYS[i]) or now, now)
  keep_tat(KEYS[i], math.max(now, arrival + tonumber(ARGV[at]) * tonumber(ARGV[at + 1])), now)
end
return 1
