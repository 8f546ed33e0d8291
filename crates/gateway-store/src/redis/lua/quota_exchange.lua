-- Leases of one key's limits, decided as gateway_core::state::SharedLimits decides.
-- KEYS: the state. ARGV: holder, lease, for how long a dead holder is remembered (microseconds),
--   what the names of older sums begin with, how many rates, slots and budgets,
--   (name, per minute, burst, settle, need, extra)* of rates,
--   (name, limit, held, need, extra)* of slots,
--   (name, limit, spent, acknowledged, held, need, extra, keep)* of budgets
local MINUTE = 60000000
local now, holder = now_us(), ARGV[1]
local lease, remembered, old = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local raw = redis.call('GET', KEYS[1])
local state = raw and cmsgpack.unpack(raw) or { r = {}, b = {}, h = {} }
local rates, budgets, holders = state.r, state.b, state.h

local at = 8
local function next_number()
  at = at + 1
  return tonumber(ARGV[at - 1])
end
local function next_name()
  at = at + 1
  return ARGV[at - 1]
end
local wanted = { r = {}, s = {}, b = {} }
for _ = 1, tonumber(ARGV[5]) do
  local it = { name = next_name() }
  it.rate, it.burst, it.settle, it.need, it.extra =
    next_number(), next_number(), next_number(), next_number(), next_number()
  wanted.r[#wanted.r + 1] = it
end
for _ = 1, tonumber(ARGV[6]) do
  local it = { name = next_name() }
  it.limit, it.held, it.need, it.extra = next_number(), next_number(), next_number(), next_number()
  wanted.s[#wanted.s + 1] = it
end
for _ = 1, tonumber(ARGV[7]) do
  local it = { name = next_name() }
  it.limit, it.spent, it.acknowledged = next_number(), next_number(), next_number()
  it.held, it.need, it.extra, it.keep = next_number(), next_number(), next_number(), next_number()
  wanted.b[#wanted.b + 1] = it
end

-- The debt after what has grown back; all numbers stay integers below 2^53.
local function grow(debt, rate)
  local elapsed = math.min(math.max(0, now - debt[3]), 1000000000000)
  local sixtieths = rate * math.floor(elapsed / 1000000)
  local rest = rate * (elapsed % 1000000)
  local units = math.floor(sixtieths / 60) + math.floor(rest / MINUTE)
  local part = (sixtieths % 60) * 1000000 + rest % MINUTE
  units, part = debt[1] - units, debt[2] - part
  while part < 0 do units, part = units - 1, part + MINUTE end
  if units < 0 then units, part = 0, 0 end
  debt[1], debt[2], debt[3] = units, part, now
end
-- How long `units` and `part` take to grow back, rounded down or up.
local function time_of(units, part, rate, up)
  local whole, rest = math.floor(units / rate), (units % rate) * 60
  local seconds, small = math.floor(rest / rate), (rest % rate) * 1000000 + part
  if up then small = small + rate - 1 end
  return whole * MINUTE + seconds * 1000000 + math.floor(small / rate)
end
local function settle(debt, units)
  debt[1] = debt[1] + units
  if debt[1] < 0 then debt[1], debt[2] = 0, 0 end
  debt[1] = math.min(debt[1], 2000000000)
end
local function rounded_up(debt) return debt[1] + (debt[2] > 0 and 1 or 0) end

-- Dead holders: their slots are free, their money counts as spent.
for name, it in pairs(holders) do
  if it.t + remembered <= now then
    holders[name] = nil
  elseif it.t <= now then
    it.s = {}
    for budget, kept in pairs(it.b) do
      if budgets[budget] then budgets[budget][1] = budgets[budget][1] + kept[2] end
      kept[2], kept[3] = 0, kept[3] + kept[2]
    end
  end
end
for name, it in pairs(budgets) do
  if it[2] <= now then budgets[name] = nil end
end

-- What this holder reports.
for _, it in ipairs(wanted.r) do
  local debt = rates[it.name] or { 0, 0, 0 }
  rates[it.name] = debt
  grow(debt, it.rate)
  if debt[1] >= it.burst then debt[1], debt[2] = it.burst, 0 end
  settle(debt, it.settle)
end
local own = holders[holder] or { s = {}, b = {} }
holders[holder] = own
own.t = now + lease
for _, it in ipairs(wanted.s) do own.s[it.name] = it.held end
for _, it in ipairs(wanted.b) do
  if not budgets[it.name] then
    local before = tonumber(redis.call('GET', old .. it.name) or 0)
    budgets[it.name] = { before, now + it.keep }
  end
  local total, known = budgets[it.name], own.b[it.name] or { it.acknowledged, 0, 0 }
  total[1] = math.max(0, total[1] - known[3]) + math.max(0, it.spent - known[1])
  own.b[it.name] = { it.spent, it.held, 0 }
end

local function slots_taken(name)
  local sum = 0
  for _, it in pairs(holders) do sum = sum + (it.s[name] or 0) end
  return sum
end
local function budget_taken(name)
  local sum = budgets[name][1]
  for _, it in pairs(holders) do
    if it.b[name] then sum = sum + it.b[name][2] end
  end
  return sum
end

-- The first limit that has no room.
local word, index, wait = 'OK', 0, 0
local function refuse(with, n, time)
  if word == 'OK' then word, index, wait = with, n - 1, time or 0 end
end
for n, it in ipairs(wanted.s) do
  if it.need > 0 and slots_taken(it.name) + it.need > it.limit then refuse('SLOTS', n) end
end
for n, it in ipairs(wanted.b) do
  if it.need > 0 and budget_taken(it.name) + it.need > it.limit then refuse('BUDGET', n) end
end
for n, it in ipairs(wanted.r) do
  local debt = rates[it.name]
  if it.need > 0 and it.need > it.burst then
    refuse('LARGE', n)
  elseif it.need > 0 and rounded_up(debt) + it.need > it.burst then
    refuse('RATE', n, time_of(debt[1] + it.need - it.burst, debt[2], it.rate, true))
  end
end

-- Of each lease: what was granted, what is left or the time until all is back, and what was spent.
local reply = { word, index, wait }
local function report(granted, left, spent)
  reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = granted, left, spent
end
local function grant(it, free, part)
  if word ~= 'OK' then return 0 end
  return it.need + math.min(it.extra, math.floor(math.max(0, free - it.need) / part))
end
for _, it in ipairs(wanted.s) do
  local free = math.max(0, it.limit - slots_taken(it.name))
  local granted = grant(it, free, 2)
  own.s[it.name] = own.s[it.name] + granted
  report(granted, math.max(0, free - granted), 0)
end
for _, it in ipairs(wanted.b) do
  local free = math.max(0, it.limit - budget_taken(it.name))
  local granted = grant(it, free, 4)
  own.b[it.name][2] = own.b[it.name][2] + granted
  report(granted, math.max(0, free - granted), budgets[it.name][1])
end
for _, it in ipairs(wanted.r) do
  local debt = rates[it.name]
  local granted = grant(it, math.max(0, it.burst - rounded_up(debt)), 2)
  settle(debt, granted)
  report(granted, time_of(debt[1], debt[2], it.rate, false), 0)
end

local until_us = now + lease + remembered
for _, it in pairs(budgets) do until_us = math.max(until_us, it[2]) end
local ms = math.ceil((until_us - now) / 1000) + 1000
redis.call('SET', KEYS[1], cmsgpack.pack(state), 'PX', text(ms))
return reply
