-- ARGV: from, limit (-1: all). Returns fields, records and how many records there are.
local fields = redis.call('HGETALL', KEYS[1])
if #fields == 0 then return {} end
local from, limit, records = tonumber(ARGV[1]), tonumber(ARGV[2]), {}
local last = limit < 0 and -1 or from + limit - 1
if limit ~= 0 then records = redis.call('LRANGE', KEYS[2], text(from), text(last)) end
return {fields, records, redis.call('LLEN', KEYS[2])}
