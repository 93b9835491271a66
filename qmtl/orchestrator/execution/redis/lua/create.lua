-- Keep a new execution, PENDING, with its inline inputs, and index it for pages.
--
-- KEYS   1 execution
-- ARGV   1 cell  2 execution id  3 nonce of the call  4 document  5 tenant
--        6 prefix of its line's histories, '' for none  7 its line where it is ordered, else ''
--        8 bucket in ms  9 ms until its time is over, '' for never
--        10 most open executions, ''  11 most of its tenant, ''
--        12 place in the pages  13 strategy  14 what it asks of its line, '' where not ordered
--        15 the bucket whose changed results it follows, ''  16 priority
--        17 what it replays, ''  18.. pairs of input and points
-- Reply  {'NEW'}, {'TENANT'} (that bound is reached), {'OVERLOADED'} (that of all is), {'REMAINS'}
--        (histories read values of a forgotten one of this id, which stand elsewhere), or the
--        fields of the execution that has this id

local creator = redis.call('HGET', KEYS[1], 'creator')
if creator == ARGV[3] then
  return { 'NEW' }
elseif creator then
  return redis.call('HGETALL', KEYS[1])
end
if ARGV[11] ~= '' then
  local open = redis.call('HGET', CELL .. 'open:tenants', ARGV[5])
  if tonumber(open or '0') >= tonumber(ARGV[11]) then
    return { 'TENANT' }
  end
end
if ARGV[10] ~= '' then
  local open = redis.call('HMGET', CELL .. 'open', 'PENDING', 'RUNNING')
  if tonumber(open[1] or '0') + tonumber(open[2] or '0') >= tonumber(ARGV[10]) then
    return { 'OVERLOADED' }
  end
end
local remains = redis.call('HMGET', KEYS[1] .. ':remains', 'histories', 'bucket')
if remains[1] then
  if remains[1] ~= ARGV[6] or remains[2] ~= ARGV[8] then
    return { 'REMAINS' }
  end
  redis.call('DEL', KEYS[1] .. ':remains')
  redis.call('ZREM', CELL .. 'remains', ARGV[2])
end
local MOST_BUCKETS = 20000 -- that a line knows
local now = now_ms()
local created = digits(now)
redis.call(
  'HSET', KEYS[1], 'doc', ARGV[4], 'tenant', ARGV[5], 'histories', ARGV[6], 'line', ARGV[7],
  'bucket', ARGV[8], 'state', 'PENDING', 'opened', created, 'creator', ARGV[3], 'lasts', ARGV[9],
  'priority', ARGV[16], 'place', ARGV[12], 'strategy', ARGV[13],
  'expires', ARGV[9] ~= '' and digits(now + tonumber(ARGV[9])) or ''
)
write_chunks('HSET', KEYS[1] .. ':inputs', ARGV, 18)
if ARGV[17] ~= '' then -- its plan names what that one's names, which is kept as long as it is
  local base, place = unpack(redis.call('HMGET', CELL .. 'exec:' .. ARGV[17], 'base', 'place'))
  if place then
    redis.call('HSET', KEYS[1], 'base', base or place)
    redis.call('ZADD', CELL .. 'replays:' .. ARGV[5], 0, (base or place) .. ' ' .. ARGV[2])
    redis.call('ZADD', CELL .. 'ended', 'XX', created, ARGV[17])
  end
end
if ARGV[7] ~= '' then
  local buckets, what = CELL .. 'buckets:' .. ARGV[7], ARGV[8] .. ':' .. ARGV[14]
  redis.call('HSET', KEYS[1], 'what', what)
  if ARGV[15] ~= '' then
    redis.call('HSET', KEYS[1], 'changed', ARGV[15], 'repairs', ARGV[15])
  end
  redis.call('ZADD', CELL .. 'line:' .. ARGV[7], ARGV[8], ARGV[2])
  if redis.call('ZADD', buckets, ARGV[8], what) == 1 then
    local excess = redis.call('ZCARD', buckets) - MOST_BUCKETS
    if excess > 0 then
      for _, oldest in ipairs(redis.call('ZPOPMIN', buckets, excess)) do
        redis.call('HDEL', CELL .. 'ran:' .. ARGV[7], oldest)
      end
    end
  end
end
redis.call('ZADD', CELL .. 'due', created, ARGV[2])
redis.call('HINCRBY', CELL .. 'open', 'PENDING', 1)
redis.call('HINCRBY', CELL .. 'open:tenants', ARGV[5], 1)
redis.call('ZADD', CELL .. 'execs:' .. ARGV[5], 0, ARGV[12])
redis.call('ZADD', CELL .. 'execs:' .. ARGV[5] .. ':' .. ARGV[13], 0, ARGV[12])
return { 'NEW' }
