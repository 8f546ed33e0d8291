-- KEYS: m (hash), l (list of messages), d (turn -> version). A context member `x` is field `c:x`.
-- Fields: v (schema), ver, turn (version of the last turn), created, expires, msgs, bytes, ttl.
local function session(schema)
  local m = redis.call('HMGET', KEYS[1], 'v', 'ver', 'turn', 'msgs', 'bytes', 'expires')
  if not m[2] then return nil, {'GONE', 0} end
  if m[1] ~= schema then return nil, {'SCHEMA', tonumber(m[1]) or 0} end
  return {ver = tonumber(m[2]), turn = tonumber(m[3]), msgs = tonumber(m[4]),
          bytes = tonumber(m[5]), expires = tonumber(m[6])}
end
-- Reads n changes of the context from ARGV[at]: 'set' or 'del', name, value.
local function read_patch(at, n)
  local patch = {}
  for i = 1, n do
    patch[i] = {op = ARGV[at], name = 'c:' .. ARGV[at + 1], value = ARGV[at + 2]}
    at = at + 3
  end
  return patch, at
end
-- The size of the context after the changes.
local function context_bytes(patch)
  local sizes, sum = {}, 0
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'c:' then sizes[all[i]] = #all[i] - 2 + #all[i + 1] end
  end
  for _, p in ipairs(patch) do
    sizes[p.name] = p.op == 'set' and #p.name - 2 + #p.value or nil
  end
  for _, size in pairs(sizes) do sum = sum + size end
  return sum
end
local function apply_patch(patch)
  for _, p in ipairs(patch) do
    if p.op == 'set' then redis.call('HSET', KEYS[1], p.name, p.value)
    else redis.call('HDEL', KEYS[1], p.name) end
  end
end
