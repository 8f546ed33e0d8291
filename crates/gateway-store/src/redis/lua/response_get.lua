-- KEYS: h, e. Returns schema, whether it is in progress, the rest of the lease, the body.
local h = redis.call('HMGET', KEYS[1], 'v', 'open', 'lease', 'body')
if not h[1] then return {} end
return {h[1], h[2], lease_left(h[2], h[3]), h[4]}
