-- KEYS: open rows, the mark of this row. ARGV: id, row, how long an open row is kept
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
keep(KEYS[1], tonumber(ARGV[3]))
return 0
