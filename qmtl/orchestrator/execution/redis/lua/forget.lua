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
local forgotten, nodes, looked = 0, 0, 0

-- Whether one that ended is kept on: its line waits until somebody settles it, or lacks the repair
-- that it was. The latter counts once an attempt: a repair may be one that nobody can ever do.
local function is_kept_on(key, id, line, landed)
  if landed then
    return true
  end
  return line
    and redis.call('ZSCORE', CELL .. 'unrepaired:' .. line, id)
    and redis.call('HSETNX', key, 'kept_on', '1') == 1
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', digits(now - kept), 'LIMIT', 0, limit)) do
  local key = CELL .. 'exec:' .. id
  local entry, landed, line = unpack(redis.call('HMGET', key, 'entry', 'landed', 'line'))
  nodes = nodes + redis.call('HLEN', key .. ':values')
  if nodes > MOST_NODES and forgotten > 0 or is_in_outbox(entry) then
    break
  elseif is_kept_on(key, id, line, landed) then
    redis.call('ZADD', KEYS[1], digits(now), id)
  else
    forget(id, again)
    forgotten = forgotten + 1
  end
end

local remains, looks = CELL .. 'remains', limit * MOST_LOOKS
for _, id in ipairs(redis.call('ZRANGEBYSCORE', remains, '-inf', digits(now), 'LIMIT', 0, looks)) do
  if looked > MOST_NODES then
    break
  end
  looked = looked + look_at_remains(id, again)
end
return forgotten
