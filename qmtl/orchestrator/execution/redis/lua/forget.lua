-- Forget executions that ended long ago, oldest first, and look at remains.
--
-- KEYS   1 ended
-- ARGV   1 cell  2 ms for which executions are kept  3 how many to forget at most
-- Reply  how many were forgotten

local MOST_NODES = 5000 -- bounds the time for which the server is held; one more may go beyond
local LOOKS = 4 -- at remains, in the time for which executions are kept
local MOST_LOOKS = 10 -- for each execution that may be forgotten
local now, kept, limit = now_ms(), tonumber(ARGV[2]), tonumber(ARGV[3])
local again = now + math.floor(kept / LOOKS)
local forgotten, nodes = 0, 0

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

for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', digits(now - kept), 'LIMIT', 0, limit)) do
  local key = CELL .. 'exec:' .. id
  local entry, landed, line = unpack(redis.call('HMGET', key, 'entry', 'landed', 'line'))
  nodes = nodes + redis.call('HLEN', key .. ':values')
  if nodes > MOST_NODES and forgotten > 0 or is_in_outbox(entry) then
    break
  elseif landed or redis.call('ZSCORE', CELL .. 'unrepaired:' .. line, id) then
    -- Its line waits until somebody settles it, or lacks the repair that it was.
    redis.call('ZADD', KEYS[1], digits(now), id)
  else
    forget(id, again)
    forgotten = forgotten + 1
  end
end

local remains, looks = CELL .. 'remains', limit * MOST_LOOKS
for _, id in ipairs(redis.call('ZRANGEBYSCORE', remains, '-inf', digits(now), 'LIMIT', 0, looks)) do
  if nodes > MOST_NODES then
    break
  end
  nodes = nodes + look_at_remains(id, again)
end
return forgotten
