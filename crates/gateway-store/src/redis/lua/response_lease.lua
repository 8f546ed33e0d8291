-- The rest of a writer's lease in milliseconds, as text; nothing of a response without one.
local function lease_left(open, until_ms)
  if open ~= '1' or not until_ms then return '' end
  return text(math.max(0, tonumber(until_ms) - now_ms()))
end
