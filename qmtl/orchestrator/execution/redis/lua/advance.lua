-- Move a running execution to a stage, or end it behind its last.
--
-- KEYS   1 execution
-- ARGV   1 cell  2 execution id  3 nonce of the call  4 stage to move to
-- Reply  'MOVED', 'ENDED', 'WAIT' (the stage before is not done) or 'STALE'

local id, key = ARGV[2], KEYS[1]
local fields = redis.call('HMGET', key, 'state', 'stage', 'stages', 'mover', 'ender')
local before = tonumber(ARGV[4]) - 1
if fields[1] ~= 'RUNNING' then
  return fields[5] == ARGV[3] and 'ENDED' or 'STALE'
elseif tonumber(fields[2]) > before then
  return fields[4] == ARGV[3] and 'MOVED' or 'STALE'
end
local open = redis.call('HGET', key .. ':shards', fields[2] .. ':open')
if tonumber(fields[2]) < before or open ~= '0' then
  return 'WAIT'
end
local now = now_ms()
if ARGV[4] == fields[3] then -- a stage without shards, which no commit ends
  end_execution(id, state_at_end(key), now, ARGV[3])
  return 'ENDED'
end
redis.call('HSET', key, 'stage', ARGV[4], 'began', digits(now), 'mover', ARGV[3])
redis.call('HDEL', key, 'returned')
tell(key, 'stage', 'stage', ARGV[4], 'stages', fields[3])
redis.call('ZADD', CELL .. 'due', digits(now), id)
return 'MOVED'
