-- Take a shard of the running stage under a new token, and hold call keys.
--
-- KEYS   1 execution
-- ARGV   1 cell  2 execution id  3 nonce of the call  4 stage  5 shard  6 ms of the lease
--        7 packed call keys  8 ms for which results are known
--        9 the claimer's runtime where it is not the plan's, else ''
--        10 started ms of the plan that the claimer goes by, '' for any
-- Reply  {'GONE'}, {'DONE'}, {'BUSY'}, or {'RUN', token, claims of it since a node of it was
--        committed, 1 where it was claimed before, 1 where the execution is mixed,
--        {key, entry, ...} with a result (memo.lua), {key, ...} that other shards compute}

local key, now = KEYS[1], now_ms()
local execution = redis.call(
  'HMGET', key, 'state', 'stage', 'expires', 'tenant', 'mixed', 'started'
)
if execution[1] ~= 'RUNNING' or execution[2] ~= ARGV[4] or is_over(execution[3], now) then
  return { 'GONE' }
elseif ARGV[10] ~= '' and ARGV[10] ~= execution[6] then -- another attempt's shard
  return { 'GONE' }
end
local name = ARGV[4] .. ':' .. ARGV[5]
local shard = redis.call(
  'HMGET', key .. ':shards', ARGV[4] .. ':shards', name .. ':done', name .. ':lease',
  name .. ':nonce', name .. ':token', name .. ':claims', name .. ':again'
)
local at = tonumber(ARGV[5])
if at < 0 or at >= tonumber(shard[1]) then
  return { 'GONE' }
elseif shard[2] then
  return { 'DONE' }
end

local token, claims = tonumber(shard[5]), tonumber(shard[6] or '0')
local again, mixed = shard[7] == '1', execution[5]
if shard[4] ~= ARGV[3] then
  if shard[3] and tonumber(shard[3]) > now then
    return { 'BUSY' }
  end
  again = token ~= nil
  local ends = now + tonumber(ARGV[6])
  token, claims = take_shard(key, name, again, ARGV[3], now, ends)
  if ARGV[9] ~= '' then
    mixed = '1'
    redis.call('HSET', key, 'mixed', mixed)
    redis.call('HSET', key .. ':shards', name .. ':runtime', ARGV[9])
  end
  redis.call('HDEL', key, 'returned') -- by due.lua: its messages do arrive
  redis.call('ZADD', CELL .. 'due', 'LT', digits(ends), ARGV[2]) -- look again then, if not before
end
local mark = ARGV[2] .. ':' .. name .. ':' .. digits(token)
local known, elsewhere = {}, {}
if not mixed then
  known, elsewhere = hold(execution[4], mark, cmsgpack.unpack(ARGV[7]), ARGV[8], now)
end
return { 'RUN', token, claims, again and 1 or 0, mixed and 1 or 0, known, elsewhere }
