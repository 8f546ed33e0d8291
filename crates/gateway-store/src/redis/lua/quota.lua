-- KEYS: o (request -> end of its lease), v (request -> period, amount, keep), rates*
-- The generic cell rate algorithm, as in Rust: see gateway_core::state::gcra.
local function tat(key) return tonumber(redis.call('GET', key) or nil) end
local function keep_tat(key, at, now)
  redis.call('SET', key, text(at), 'PX', text(math.ceil((at - now) / 1000) + 1000))
end
