-- KEYS: h. ARGV: schema, fingerprint, token, lease
local h = redis.call('HMGET', KEYS[1], 'v', 'print', 'token', 'status', 'type', 'body')
if h[1] then
  if h[1] ~= ARGV[1] then return {'SCHEMA', tonumber(h[1]) or 0} end
  if h[2] ~= ARGV[2] then return {'MISMATCH'} end
  if h[4] then return {'DONE', tonumber(h[4]), h[5], h[6]} end
  if h[3] ~= ARGV[3] then return {'BUSY'} end
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  return {'NEW'}
end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'print', ARGV[2], 'token', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {'NEW'}
