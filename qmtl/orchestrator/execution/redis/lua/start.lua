-- Store the plan of a PENDING execution and make it RUNNING at stage 0.
--
-- KEYS   1 execution  2 plan  3 node facts  4 shards  5 due  6 open counts
-- ARGV   1 execution id  2 plan document  3 number of stages  4 number of nodes
--        5 index in ARGV of the last node fact
--        6.. pairs of node id and 'bucket_ms:points of history to keep:revision@sources'
--        then pairs of fields of the shards: '0:shards', '0:open', '0:0:nodes', ...
-- Reply  1, or 0 where the execution is not PENDING

if redis.call('HGET', KEYS[1], 'state') ~= 'PENDING' then
  return 0
end
local now = now_ms()
local facts_end = tonumber(ARGV[5])
redis.call('SET', KEYS[2], ARGV[2])
write_chunks('HSET', KEYS[3], ARGV, 6, facts_end)
write_chunks('HSET', KEYS[4], ARGV, facts_end + 1, #ARGV)
redis.call('HSET', KEYS[1], 'stages', ARGV[3], 'total', ARGV[4], 'started', digits(now))
redis.call('HINCRBY', KEYS[6], 'PENDING', -1)
if ARGV[3] == '0' then
  redis.call('HSET', KEYS[1], 'state', 'SUCCEEDED', 'ended', digits(now), 'done', ARGV[4])
  redis.call('ZREM', KEYS[5], ARGV[1])
else
  redis.call('HSET', KEYS[1], 'state', 'RUNNING', 'stage', '0', 'began', digits(now))
  redis.call('HDEL', KEYS[1], 'returned')
  redis.call('ZADD', KEYS[5], digits(now), ARGV[1])
  redis.call('HINCRBY', KEYS[6], 'RUNNING', 1)
end
return 1
