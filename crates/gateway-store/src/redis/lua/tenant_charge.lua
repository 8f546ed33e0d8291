-- What a tenant keeps. KEYS: z (name -> expiry), h (name -> bytes; n:KIND, sum).
-- ARGV: name, kind, mode ('set': bytes in all, 'add': bytes more), bytes, ttl (-1: as it is),
--       max bytes, max number of the kind
local z, h = KEYS[1], KEYS[2]
local function field(name) return tonumber(redis.call('HGET', h, name) or '0') end
local function drop(name)
  redis.call('HINCRBYFLOAT', h, 'sum', -field(name))
  redis.call('HINCRBY', h, 'n:' .. string.sub(name, 1, 1), -1)
  redis.call('HDEL', h, name)
  redis.call('ZREM', z, name)
end
local now = now_ms()
for _, name in ipairs(redis.call('ZRANGEBYSCORE', z, '-inf', now, 'LIMIT', 0, 1000)) do drop(name) end
local name, bytes = ARGV[1], tonumber(ARGV[4])
local known = redis.call('HGET', h, name)
local more = bytes
if ARGV[3] == 'set' then more = bytes - tonumber(known or '0') end
if not known and field('n:' .. ARGV[2]) >= tonumber(ARGV[7]) then return {'COUNT'} end
if more > 0 and field('sum') + more > tonumber(ARGV[6]) then return {'BYTES'} end
if not known then redis.call('HINCRBY', h, 'n:' .. ARGV[2], 1) end
redis.call('HINCRBYFLOAT', h, name, more)
redis.call('HINCRBYFLOAT', h, 'sum', more)
local ttl = tonumber(ARGV[5])
if ttl >= 0 then redis.call('ZADD', z, text(now + ttl), name)
elseif not known then redis.call('ZADD', z, text(now + 3600000), name) end
local last = redis.call('ZREVRANGE', z, 0, 0, 'WITHSCORES')[2]
for _, key in ipairs(KEYS) do redis.call('PEXPIREAT', key, last) end
return {'OK'}
