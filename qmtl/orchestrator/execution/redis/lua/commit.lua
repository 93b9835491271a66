-- Write what nodes of a shard came to, each once, and one outbox entry that lists the new ones.
--
-- KEYS   1 execution  2 shards  3 node records  4 values  5 node facts  6 outbox  7 due
-- ARGV   1 execution id  2 stage  3 shard  4 token  5 '1' where the shard is done with this
--        6 prefix of large values
--        7.. five for each node: id, record document, value ('' for none, 'i' and the bytes, or
--        'r' and the address of a large value), '1' where it has a result, digest of that ('')
-- Reply  'ACCEPTED'; or, with nothing written: 'REFUSED' (another token, or not RUNNING),
--        'UNPLANNED' (a node that is not in the plan), 'MISSING' (a large value is not there)

-- Whether a bucket has a point of newer pins on the same sources. A member or a fact of the form
-- without pins, which does not end with 'revision@sources', is newer than nothing.
local function is_outdated(history, bucket, pins)
  local revision, sources = string.match(pins, '^(%d+)@(%x+)$')
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', history, bucket, bucket)) do
    local kept, of = string.match(member, ':(%d+)@(%x+)$')
    if kept and of == sources and tonumber(kept) > tonumber(revision) then
      return true
    end
  end
  return false
end

local execution = redis.call('HMGET', KEYS[1], 'state', 'tenant', 'histories')
local name = ARGV[2] .. ':' .. ARGV[3]
if execution[1] ~= 'RUNNING' or redis.call('HGET', KEYS[2], name .. ':token') ~= ARGV[4] then
  return 'REFUSED'
end

local ids = {}
for at = 7, #ARGV, 5 do
  ids[#ids + 1] = ARGV[at]
end
local records = read_fields(KEYS[3], ids)
local facts = read_fields(KEYS[5], ids)
local seen = {}
local fresh = {} -- indexes of the nodes that were not committed before
for index, id in ipairs(ids) do
  if not facts[index] then
    return 'UNPLANNED'
  end
  if not records[index] and not seen[id] then
    seen[id] = true
    fresh[#fresh + 1] = index
    local value = ARGV[4 + 5 * index]
    if string.byte(value) == 114 and redis.call('EXISTS', ARGV[6] .. string.sub(value, 2)) == 0 then
      return 'MISSING'
    end
  end
end

-- From here on everything is written.
local histories = execution[3]
local new_ids, new_records, new_values = {}, {}, {}
local results = 0
for _, index in ipairs(fresh) do
  local at = 2 + 5 * index
  local id, value, digest = ARGV[at], ARGV[at + 2], ARGV[at + 4]
  new_ids[#new_ids + 1] = id
  new_records[#new_records + 1] = id
  new_records[#new_records + 1] = ARGV[at + 1]
  if value ~= '' then
    new_values[#new_values + 1] = id
    new_values[#new_values + 1] = value
    if string.byte(value) == 114 then
      redis.call('PERSIST', ARGV[6] .. string.sub(value, 2))
    end
  end
  if ARGV[at + 3] == '1' then
    results = results + 1
    local bucket, keep = string.match(facts[index], '^(-?%d+):(%d+)')
    local pins = string.match(facts[index], '^-?%d+:%d+:(.+)$') or ''
    local history = histories .. id
    if
      histories ~= '' and keep ~= '0' and digest ~= '' and not is_outdated(history, bucket, pins)
    then
      redis.call('ZREMRANGEBYSCORE', history, bucket, bucket)
      local member = bucket .. ':' .. digest .. ':' .. ARGV[1]
      redis.call('ZADD', history, bucket, pins == '' and member or member .. ':' .. pins)
      redis.call('ZREMRANGEBYRANK', history, 0, -(tonumber(keep) + 1))
    end
  end
end
if #new_ids > 0 then
  write_chunks('HSET', KEYS[3], new_records, 1, #new_records)
  write_chunks('HSET', KEYS[4], new_values, 1, #new_values)
  redis.call('HDEL', KEYS[2], name .. ':claims')
  redis.call('HINCRBY', KEYS[1], 'done', #new_ids)
  redis.call('HINCRBY', KEYS[1], 'results', results)
  redis.call(
    'XADD', KEYS[6], '*',
    'tenant', execution[2], 'execution', ARGV[1], 'nodes', table.concat(new_ids, ',')
  )
end
if ARGV[5] == '1' and redis.call('HSETNX', KEYS[2], name .. ':done', '1') == 1 then
  if redis.call('HINCRBY', KEYS[2], ARGV[2] .. ':open', -1) == 0 then
    redis.call('ZADD', KEYS[7], 'LT', digits(now_ms()), ARGV[1]) -- the advance is due
  end
end
return 'ACCEPTED'
