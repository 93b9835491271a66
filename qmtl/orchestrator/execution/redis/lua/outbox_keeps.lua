-- Whether the outbox still has what an execution committed.

local function parts(entry)
  local ms, seq = string.match(entry, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end

-- Whether the outbox still has its last entry: it is to be mirrored, perhaps anew.
local first = redis.call('XRANGE', CELL .. 'outbox', '-', '+', 'COUNT', 1)[1]
local function is_in_outbox(entry)
  if not (entry and first) then
    return false
  end
  local ms, seq = parts(entry)
  local first_ms, first_seq = parts(first[1])
  return ms > first_ms or (ms == first_ms and seq >= first_seq)
end
