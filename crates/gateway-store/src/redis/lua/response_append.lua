-- KEYS: h, e. ARGV: schema, from, max steps, max bytes, step*
local h = redis.call('HMGET', KEYS[1], 'v', 'open', 'n', 'bytes')
if not h[1] then return {'GONE', 0} end
if h[1] ~= ARGV[1] then return {'SCHEMA', tonumber(h[1]) or 0} end
if h[2] ~= '1' then return {'GONE', 0} end
local from, n, bytes = tonumber(ARGV[2]), tonumber(h[3]), tonumber(h[4])
if from > n then return {'CONFLICT', n} end
local first = 5 + n - from
if first > #ARGV then return {'DUP', n} end
for i = first, #ARGV do bytes = bytes + #ARGV[i] end
local count = n + #ARGV - first + 1
if count > tonumber(ARGV[3]) or bytes > tonumber(ARGV[4]) then return {'FULL', n} end
for i = first, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[i]) end
redis.call('HSET', KEYS[1], 'n', text(count), 'bytes', text(bytes))
redis.call('PEXPIRE', KEYS[2], text(redis.call('PTTL', KEYS[1])))
return {'OK', count}
