-- Keep a new execution, PENDING, with its inline inputs, and index it for pages.
--
-- KEYS   1 execution  2 inputs  3 due  4 open counts  5, 6 pages (of the tenant, of its strategy)
-- ARGV   1 execution id  2 document  3 tenant  4 prefix of its line's histories, '' for none
--        5 place in the pages  6.. pairs of input and points
-- Reply  an empty list where it is new, else the fields of the execution that has this id

if redis.call('EXISTS', KEYS[1]) == 1 then
  return redis.call('HGETALL', KEYS[1])
end
local now = digits(now_ms())
redis.call(
  'HSET', KEYS[1], 'doc', ARGV[2], 'tenant', ARGV[3], 'histories', ARGV[4],
  'state', 'PENDING', 'created', now
)
write_chunks('HSET', KEYS[2], ARGV, 6, #ARGV)
redis.call('ZADD', KEYS[3], now, ARGV[1])
redis.call('HINCRBY', KEYS[4], 'PENDING', 1)
redis.call('ZADD', KEYS[5], 0, ARGV[5])
redis.call('ZADD', KEYS[6], 0, ARGV[5])
return {}
