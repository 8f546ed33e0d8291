-- ARGV: request, lease, whether only to look (1, 0), what the names of all keys begin with,
--       how many places, how many budgets,
--       (name, limit)* of places, (name, limit, reserve, keep)* of budgets,
--       (interval, burst, cost)* of rates
local now, request, base = now_us(), ARGV[1], ARGV[4]
local lease, places, budgets = tonumber(ARGV[2]), tonumber(ARGV[5]), tonumber(ARGV[6])
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', text(now))) do
  let_go(gone, base, nil)
end
local granted, held, at = {'OK'}, {}, 7
for i = 1, places do
  local key, limit = base .. 'p:' .. ARGV[at], tonumber(ARGV[at + 1])
  local taken = redis.call('ZCARD', key)
  if redis.call('ZSCORE', key, request) then taken = taken - 1 end
  if taken >= limit then return {'PLACES', i - 1} end
  granted[#granted + 1] = limit - taken - 1
  held[#held + 1] = 'p ' .. ARGV[at]
  at = at + 2
end
local open = budgets > 0 and redis.call('HGETALL', KEYS[2]) or {}
for i = 1, budgets do
  local name, limit = ARGV[at], tonumber(ARGV[at + 1])
  local sum = tonumber(redis.call('GET', base .. 's:' .. name) or 0) + tonumber(ARGV[at + 2])
  for n = 1, #open, 2 do
    if open[n] ~= request then
      for line in string.gmatch(open[n + 1], '[^\n]+') do
        local amount, _, budget = string.match(line, '^b (%d+) (%d+) (.*)$')
        if budget == name then sum = sum + tonumber(amount) end
      end
    end
  end
  if sum > limit then return {'BUDGET', i - 1} end
  granted[#granted + 1] = limit - sum
  held[#held + 1] = 'b ' .. ARGV[at + 2] .. ' ' .. ARGV[at + 3] .. ' ' .. name
  at = at + 4
end
local stored = {}
for i = 3, #KEYS do
  local interval, burst, cost = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  at = at + 3
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
if ARGV[3] == '1' then return granted end
for i, new in pairs(stored) do keep_tat(KEYS[i], new, now) end
if lease == 0 then return granted end
local ms = math.ceil(lease / 1000) + 1000
let_go(request, base, nil)
redis.call('ZADD', KEYS[1], text(now + lease), request)
keep(KEYS[1], ms)
if #held > 0 then
  redis.call('HSET', KEYS[2], request, table.concat(held, '\n'))
  keep(KEYS[2], ms)
end
at = 7
for _ = 1, places do
  local key = base .. 'p:' .. ARGV[at]
  redis.call('ZADD', key, text(now + lease), request)
  keep(key, ms)
  at = at + 2
end
return granted
