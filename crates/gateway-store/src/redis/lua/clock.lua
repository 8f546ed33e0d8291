-- The moment of the call, by the clock of the server, which all gateways share.
local function now_us()
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end
local function now_ms() return math.floor(now_us() / 1000) end
-- Numbers as text: Lua would write large ones with an exponent.
local function text(n) return string.format('%.0f', n) end
-- Lets keys live until `at`, in milliseconds.
local function expire_at(at)
  for _, key in ipairs(KEYS) do redis.call('PEXPIREAT', key, text(at)) end
end
-- Lets a key live for `ms` at least.
local function keep(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, text(ms)) end
end
