-- ARGV: schema, ttl
local m, refused = session(ARGV[1])
if not m then return refused end
local expires = now_ms() + tonumber(ARGV[2])
redis.call('HSET', KEYS[1], 'expires', text(expires), 'ttl', ARGV[2])
expire_at(expires)
return {'OK', m.ver}
