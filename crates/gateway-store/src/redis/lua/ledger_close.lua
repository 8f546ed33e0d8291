-- KEYS: open rows, the mark of this row, the totals. ARGV: id, how long the mark and the totals are
-- kept, (name, amount)*
if not redis.call('SET', KEYS[2], 1, 'NX', 'PX', ARGV[2]) then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
for i = 4, #ARGV, 2 do redis.call('HINCRBY', KEYS[3], ARGV[i], ARGV[i + 1]) end
keep(KEYS[3], tonumber(ARGV[3]))
return 1
