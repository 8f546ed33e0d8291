-- KEYS: the list of a tenant's sessions. ARGV: behind which (may be empty), how many, gone*
for i = 3, #ARGV do redis.call('ZREM', KEYS[1], ARGV[i]) end
local from = ARGV[1] == '' and '+' or '(' .. ARGV[1]
return redis.call('ZREVRANGEBYLEX', KEYS[1], from, '-', 'LIMIT', 0, ARGV[2])
