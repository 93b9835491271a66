-- Make an execution that has ended PENDING again, without some of its nodes. Their records go to
-- :cleared, 'attempt:node id' -> record, where a mirror finds what it has not told yet. Their values
-- stay until their commit: histories may name them.
--
-- KEYS   1 execution
-- ARGV   1 cell  2 execution id  3 nonce of the call  4 attempt that the caller has seen
--        5 '1' where this attempt is fresh  6 packed ids of nodes to clear
-- Reply  1, or 0 where it has not ended or has another attempt

local id, key = ARGV[2], KEYS[1]
local state, attempt, reopener, line, bucket, lasts, tenant = unpack(redis.call(
  'HMGET', key, 'state', 'attempt', 'reopener', 'line', 'bucket', 'lasts', 'tenant'
))
if not state then
  return 0
elseif reopener == ARGV[3] then
  return 1
elseif state == 'PENDING' or state == 'RUNNING' or (attempt or '1') ~= ARGV[4] then
  return 0
end
local clear = cmsgpack.unpack(ARGV[6])
local results, cleared = 0, {} -- results that are cleared
for index, record in ipairs(read_fields(key .. ':nodes', clear)) do
  if record then
    local _, its_state, its_attempt = unpack(cmsgpack.unpack(record), 1, 3)
    if its_state == 'SUCCEEDED' or its_state == 'REUSED' then
      results = results + 1
    end
    cleared[#cleared + 1] = digits(its_attempt) .. ':' .. clear[index]
    cleared[#cleared + 1] = record
  end
end
write_chunks('HSET', key .. ':cleared', cleared)
write_chunks('HDEL', key .. ':nodes', clear)
redis.call('DEL', key .. ':shards', key .. ':bell')
local kept = redis.call('HLEN', key .. ':nodes')
if kept == 0 then
  redis.call('HDEL', key, 'mixed')
end
local now = now_ms()
redis.call(
  'HDEL', key, 'stage', 'began', 'started', 'ended', 'error', 'returned', 'ready',
  'starter', 'starter_token', 'mover', 'ender', 'landed'
)
redis.call('HINCRBY', key, 'token', 1)
redis.call('HINCRBY', key, 'results', 0 - results) -- negated, 0 would be '-0', no integer
redis.call(
  'HSET', key, 'state', 'PENDING', 'attempt', digits(tonumber(ARGV[4]) + 1), 'fresh', ARGV[5],
  'done', kept, 'opened', digits(now), 'reopener', ARGV[3],
  'expires', lasts ~= '' and digits(now + tonumber(lasts)) or ''
)
if line ~= '' then
  redis.call('ZADD', CELL .. 'line:' .. line, bucket, id)
  redis.call('ZREM', CELL .. 'unrepaired:' .. line, id)
end
redis.call('ZREM', CELL .. 'ended', id)
redis.call('ZADD', CELL .. 'due', digits(now), id)
redis.call('HINCRBY', CELL .. 'open', 'PENDING', 1)
redis.call('HINCRBY', CELL .. 'open:tenants', tenant, 1)
return 1
