-- ARGV: schema, turn, expected (-1: any), ttl (-1: as it is), max messages, max bytes,
--       max context bytes, number of changes, (op, name, value)*, payload*
local m, refused = session(ARGV[1])
if not m then return refused end
local seen = redis.call('HGET', KEYS[3], ARGV[2])
if seen then return {'DUP', tonumber(seen)} end
local expected = tonumber(ARGV[3])
if expected >= 0 and (expected < m.turn or expected > m.ver) then return {'CONFLICT', m.ver} end
local patch, at = read_patch(9, tonumber(ARGV[8]))
local bytes = m.bytes
for i = at, #ARGV do bytes = bytes + #ARGV[i] end
local messages = m.msgs + #ARGV - at + 1
if messages > tonumber(ARGV[5]) or bytes > tonumber(ARGV[6]) then return {'FULL', m.ver} end
if #patch > 0 and context_bytes(patch) > tonumber(ARGV[7]) then return {'FULL', m.ver} end
local now, ver, expires = now_ms(), m.ver + 1, m.expires
local slides = tonumber(ARGV[4]) >= 0
if slides then expires = now + tonumber(ARGV[4]) end
local head = text(ver) .. ' ' .. text(now) .. ' '
for i = at, #ARGV do redis.call('RPUSH', KEYS[2], head .. ARGV[i]) end
redis.call('HSET', KEYS[1], 'ver', text(ver), 'turn', text(ver), 'msgs', text(messages),
           'bytes', text(bytes), 'expires', text(expires))
if slides then redis.call('HSET', KEYS[1], 'ttl', ARGV[4]) end
apply_patch(patch)
redis.call('HSET', KEYS[3], ARGV[2], text(ver))
expire_at(expires)
return {'OK', ver}
