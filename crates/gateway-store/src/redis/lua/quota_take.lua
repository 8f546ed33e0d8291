-- ARGV: request, lease, places (-1: any), limit of money (-1: any), reserve, period, keep,
--       prefix of what is spent, (interval, burst, cost)*
local now, request = now_us(), ARGV[1]
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', text(now))) do
  redis.call('ZREM', KEYS[1], gone)
  redis.call('HDEL', KEYS[2], gone)
end
if tonumber(ARGV[3]) >= 0 then
  local places = redis.call('ZCARD', KEYS[1])
  if redis.call('ZSCORE', KEYS[1], request) then places = places - 1 end
  if places >= tonumber(ARGV[3]) then return {'PLACES'} end
end
if tonumber(ARGV[4]) >= 0 then
  local sum = tonumber(redis.call('GET', ARGV[8] .. ARGV[6]) or 0) + tonumber(ARGV[5])
  local open = redis.call('HGETALL', KEYS[2])
  for i = 1, #open, 2 do
    local amount, _, period = string.match(open[i + 1], '^(%d+) (%d+) (.*)$')
    if open[i] ~= request and period == ARGV[6] then sum = sum + tonumber(amount) end
  end
  if sum > tonumber(ARGV[4]) then return {'BUDGET'} end
end
local granted, stored = {'OK'}, {}
for i = 3, #KEYS do
  local at = 9 + (i - 3) * 3
  local interval, burst, cost = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  if cost > burst then return {'LARGE', i - 3} end
  local latest = now + interval * burst
  local kept = tat(KEYS[i]) or now
  local arrival = math.max(now, math.min(kept, latest))
  local new = arrival + interval * cost
  if new > latest then
    if kept > latest then keep_tat(KEYS[i], arrival, now) end
    return {'RATE', i - 3, new - latest, math.floor((latest - arrival) / interval), arrival - now}
  end
  stored[i] = new
  granted[#granted + 1] = math.floor((latest - new) / interval)
  granted[#granted + 1] = new - now
end
for i, new in pairs(stored) do keep_tat(KEYS[i], new, now) end
local lease = tonumber(ARGV[2])
redis.call('ZADD', KEYS[1], text(now + lease), request)
keep(KEYS[1], math.ceil(lease / 1000) + 1000)
if tonumber(ARGV[4]) >= 0 then
  redis.call('HSET', KEYS[2], request, ARGV[5] .. ' ' .. ARGV[7] .. ' ' .. ARGV[6])
  keep(KEYS[2], math.ceil(lease / 1000) + 1000)
end
return granted
