-- KEYS: open rows, the number of the run's last batch, the totals.
-- ARGV: how long the number and open rows, and the totals, are kept,
--       the batch's number (0: none),
--       how many rows are opened, (id, row)*,
--       how many reservations are revised, (id, row)*,
--       how many amounts are added, (name, amount)*,
--       rows that are closed, each with what it adds if it was open: (id, how many, (name, amount)*)*
local number = tonumber(ARGV[3])
if number > 0 then
  if number <= tonumber(redis.call('GET', KEYS[2]) or 0) then return 0 end
  redis.call('SET', KEYS[2], text(number), 'PX', ARGV[1])
end
local at, closed = 4, 0
local function next_count()
  at = at + 1
  return tonumber(ARGV[at - 1])
end
local opened = next_count()
for _ = 1, opened do
  redis.call('HSETNX', KEYS[1], ARGV[at], ARGV[at + 1])
  at = at + 2
end
if opened > 0 then keep(KEYS[1], tonumber(ARGV[1])) end
for _ = 1, next_count() do
  if redis.call('HEXISTS', KEYS[1], ARGV[at]) == 1 then
    redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
  end
  at = at + 2
end
for _ = 1, next_count() do
  redis.call('HINCRBY', KEYS[3], ARGV[at], ARGV[at + 1])
  at = at + 2
end
while at <= #ARGV do
  local was_open = redis.call('HDEL', KEYS[1], ARGV[at])
  closed = closed + was_open
  local last = at + 1 + 2 * tonumber(ARGV[at + 1])
  for n = at + 2, last, 2 do
    if was_open == 1 then redis.call('HINCRBY', KEYS[3], ARGV[n], ARGV[n + 1]) end
  end
  at = last + 1
end
keep(KEYS[3], tonumber(ARGV[2]))
return closed
