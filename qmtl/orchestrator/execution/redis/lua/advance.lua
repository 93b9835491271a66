-- Move a running execution to a stage, or end it behind its last.
--
-- KEYS   1 execution  2 shards  3 due  4 open counts
-- ARGV   1 execution id  2 stage to move to
-- Reply  'MOVED', 'ENDED', 'WAIT' (the stage before is not done) or 'STALE'

local fields = redis.call('HMGET', KEYS[1], 'state', 'stage', 'stages', 'total', 'results')
local before = tonumber(ARGV[2]) - 1
if fields[1] ~= 'RUNNING' or tonumber(fields[2]) > before then
  return 'STALE'
end
if tonumber(fields[2]) < before or redis.call('HGET', KEYS[2], fields[2] .. ':open') ~= '0' then
  return 'WAIT'
end
local now = digits(now_ms())
if ARGV[2] ~= fields[3] then
  redis.call('HSET', KEYS[1], 'stage', ARGV[2], 'began', now)
  redis.call('HDEL', KEYS[1], 'returned')
  redis.call('ZADD', KEYS[3], now, ARGV[1])
  return 'MOVED'
end
local state = (fields[5] or '0') == fields[4] and 'SUCCEEDED' or 'FAILED'
redis.call('HSET', KEYS[1], 'state', state, 'ended', now, 'done', fields[4])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HINCRBY', KEYS[4], 'RUNNING', -1)
return 'ENDED'
