-- Make an execution that has ended PENDING again, without some of its nodes. Their records go to
-- :cleared, 'attempt:node id' -> record without logs, where a mirror finds what it has not told yet;
-- it is empty once the outbox has nothing of the execution any more. Their values stay until their
-- commit: histories may name them.
--
-- KEYS   1 execution
-- ARGV   1 cell  2 execution id  3 nonce of the call  4 attempt that the caller has seen
--        5 '1' where this attempt is fresh  6 packed ids of nodes to clear
-- Reply  1, or 0 where it has not ended or has another attempt

-- A record without its logs, the last of its fields. Its other bytes stay as they are: Lua has no
-- numbers for all of theirs.
local function without_logs(record, logs)
  if string.byte(record) ~= 153 or logs == '' then -- an array of 9, as records are
    return record
  end
  local length = #logs
  local head = length < 32 and 1 or length < 256 and 2 or length < 65536 and 3 or 5
  return string.sub(record, 1, -1 - length - head) .. '\160' -- an empty string
end

local id, key = ARGV[2], KEYS[1]
local state, attempt, reopener, line, bucket, lasts, tenant, entry = unpack(redis.call(
  'HMGET', key, 'state', 'attempt', 'reopener', 'line', 'bucket', 'lasts', 'tenant', 'entry'
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
    local fields = cmsgpack.unpack(record)
    local its_state, its_attempt = fields[2], fields[3]
    if its_state == 'SUCCEEDED' or its_state == 'REUSED' then
      results = results + 1
    end
    cleared[#cleared + 1] = digits(its_attempt) .. ':' .. clear[index]
    cleared[#cleared + 1] = without_logs(record, fields[9])
  end
end
if is_in_outbox(entry) then
  write_chunks('HSET', key .. ':cleared', cleared)
else
  redis.call('DEL', key .. ':cleared') -- everything was told
end
write_chunks('HDEL', key .. ':nodes', clear)
redis.call('DEL', key .. ':shards', key .. ':bell')
local kept = redis.call('HLEN', key .. ':nodes')
if kept == 0 then
  redis.call('HDEL', key, 'mixed')
end
local now = now_ms()
redis.call(
  'HDEL', key, 'stage', 'began', 'started', 'ended', 'error', 'returned', 'ready',
  'starter', 'starter_token', 'mover', 'ender', 'landed', 'kept_on', 'death', 'deaths'
)
local token = next_token(key, now) -- those up to it are of earlier attempts
redis.call('HINCRBY', key, 'results', 0 - results) -- negated, 0 would be '-0', no integer
redis.call(
  'HSET', key, 'state', 'PENDING', 'attempt', digits(tonumber(ARGV[4]) + 1), 'fresh', ARGV[5],
  'done', kept, 'opened', digits(now), 'reopener', ARGV[3],
  'reopened_token', digits(token),
  'expires', lasts ~= '' and digits(now + tonumber(lasts)) or ''
)
tell_reopened(key)
if line ~= '' then
  redis.call('ZADD', CELL .. 'line:' .. line, bucket, id)
  redis.call('ZREM', CELL .. 'unrepaired:' .. line, id)
end
redis.call('ZREM', CELL .. 'ended', id)
redis.call('ZADD', CELL .. 'due', digits(now), id)
redis.call('HINCRBY', CELL .. 'open', 'PENDING', 1)
redis.call('HINCRBY', CELL .. 'open:tenants', tenant, 1)
return 1
