-- KEYS: h, e. ARGV: schema, from, limit. Returns whether more may come, the steps, and the rest of
-- the lease.
local h = redis.call('HMGET', KEYS[1], 'v', 'open', 'lease')
if not h[1] then return {} end
if h[1] ~= ARGV[1] then return {'SCHEMA', tonumber(h[1]) or 0} end
local from = tonumber(ARGV[2])
local steps = {}
if tonumber(ARGV[3]) > 0 then
  steps = redis.call('LRANGE', KEYS[2], text(from), text(from + tonumber(ARGV[3]) - 1))
end
return {h[2], steps, lease_left(h[2], h[3])}
