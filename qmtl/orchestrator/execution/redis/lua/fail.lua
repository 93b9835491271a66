-- End an execution that has not ended as FAILED.
--
-- KEYS   1 execution  2 due  3 open counts
-- ARGV   1 execution id  2 error document
-- Reply  1, or 0 where it has ended already or is unknown

local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'PENDING' and state ~= 'RUNNING' then
  return 0
end
local total = redis.call('HGET', KEYS[1], 'total') or '0'
redis.call(
  'HSET', KEYS[1], 'state', 'FAILED', 'error', ARGV[2], 'ended', digits(now_ms()), 'done', total
)
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HINCRBY', KEYS[3], state, -1)
return 1
