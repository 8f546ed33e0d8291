-- KEYS: o (request -> end of its lease), v (request -> what it holds), rates*
-- What a request holds: `p name` for each place, `b amount keep name` for each budget, in lines.
-- The places of a limit are in `p:name`, what was spent of a budget is in `s:name`.
-- The generic cell rate algorithm, as in Rust: see gateway_core::state::gcra.
local function tat(key) return tonumber(redis.call('GET', key) or nil) end
local function keep_tat(key, at, now)
  redis.call('SET', key, text(at), 'PX', text(math.ceil((at - now) / 1000) + 1000))
end
-- Lets go of all that `request` holds, and books `cost` where it reserved; nil for nothing.
local function let_go(request, base, cost)
  local held = redis.call('HGET', KEYS[2], request)
  redis.call('ZREM', KEYS[1], request)
  if not held then return end
  redis.call('HDEL', KEYS[2], request)
  for line in string.gmatch(held, '[^\n]+') do
    local place = string.match(line, '^p (.*)$')
    if place then redis.call('ZREM', base .. 'p:' .. place, request) end
    local kept, budget = string.match(line, '^b %d+ (%d+) (.*)$')
    if budget and cost then
      redis.call('INCRBY', base .. 's:' .. budget, cost)
      keep(base .. 's:' .. budget, tonumber(kept))
    end
  end
end
