-- ARGV: schema, expected (-1: any), max context bytes, number of changes, (op, name, value)*
local m, refused = session(ARGV[1])
if not m then return refused end
if tonumber(ARGV[2]) >= 0 and tonumber(ARGV[2]) ~= m.ver then return {'CONFLICT', m.ver} end
local patch = read_patch(5, tonumber(ARGV[4]))
if context_bytes(patch) > tonumber(ARGV[3]) then return {'FULL', m.ver} end
redis.call('HSET', KEYS[1], 'ver', text(m.ver + 1))
apply_patch(patch)
return {'OK', m.ver + 1}
