-- KEYS: open rows, the mark of this batch, the totals.
-- ARGV: how long the mark, the totals and open rows are kept,
--       how many rows are opened, (id, row)*,
--       how many amounts are added, (name, amount)*,
--       rows that are closed, each with what it adds if it was open: (id, how many, (name, amount)*)*
if not redis.call('SET', KEYS[2], 1, 'NX', 'PX', ARGV[1]) then return 0 end
local at, closed = 5, 0
for _ = 1, tonumber(ARGV[4]) do
  redis.call('HSETNX', KEYS[1], ARGV[at], ARGV[at + 1])
  at = at + 2
end
if at > 5 then keep(KEYS[1], tonumber(ARGV[3])) end
local amounts = tonumber(ARGV[at])
at = at + 1
for _ = 1, amounts do
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
