-- Store the plan of a PENDING execution, commit what it reuses, and make it RUNNING at stage 0.
--
-- KEYS   1 execution
-- ARGV   1 cell  2 execution id  3 nonce of the call  4 plan without nodes  5 name of its shape
--        6 the shape, '' where the server should have it  7 number of nodes
--        8 ms of the lease of the only shard of stage 0, '' for none
--        9 packed: number of shards of each stage
--        10 packed: {execution id, {node id, ...}, {digest, ...}} for each execution whose values
--        are taken
--        11 packed nodes  12 ms for which results are known by their key
--        13 how many had left its line when it was planned, '' for any number
--        14 packed call keys that the only shard holds  15 attempt that was planned, '' for any
--        16.. records and no values (nodes.lua)
-- Reply  {'STARTED', started ms, token or 0, {key, entry, ...} with a result, {key, ...} that
--        other shards compute}, {'ENDED', started ms, 0, {}, {}}; or, with nothing written:
--        {'STALE'}, {'OVER'} (its time is), {'WAIT'}, {'SHAPE'} (it is not there), {'LOST'} (a
--        value is not there, or is another one)

local id, key = ARGV[2], KEYS[1]

local function answer(status, started, token, tenant, now)
  local known, elsewhere = {}, {}
  if token ~= '0' then
    local mark = id .. ':0:0:' .. token
    known, elsewhere = hold(tenant, mark, cmsgpack.unpack(ARGV[14]), ARGV[12], now)
  end
  return { status, started, token, known, elsewhere }
end

local state, tenant, histories, line, expires, starter, started, stages, token, former, attempt =
  unpack(redis.call(
    'HMGET', key, 'state', 'tenant', 'histories', 'line', 'expires',
    'starter', 'started', 'stages', 'starter_token', 'shape', 'attempt'
  ))
if state ~= 'PENDING' then
  if starter ~= ARGV[3] then
    return { 'STALE' }
  end
  return answer(stages == '0' and 'ENDED' or 'STARTED', started, token, tenant, now_ms())
end
if ARGV[15] ~= '' and ARGV[15] ~= (attempt or '1') then
  return { 'STALE' }
end
local now = now_ms()
if is_over(expires, now) then
  return { 'OVER' }
end
if line ~= '' then
  local left = redis.call('HGET', CELL .. 'turns', line) or '0'
  if not is_its_turn(line, id) or (ARGV[13] ~= '' and ARGV[13] ~= left) then
    return { 'WAIT' }
  end
end
local shape = CELL .. 'shape:' .. ARGV[5]
if ARGV[6] == '' and redis.call('EXISTS', shape) == 0 then
  return { 'SHAPE' }
end

-- Whether each of these nodes has this digest; of a first attempt, none can have another since.
local function are_as_recorded(source, ids, digests)
  if redis.call('HEXISTS', source, 'attempt') == 1 then
    for index, record in ipairs(read_fields(source .. ':nodes', ids)) do
      if not record or cmsgpack.unpack(record)[4] ~= digests[index] then
        return false
      end
    end
  end
  return true
end

local new = new_nodes(key, ARGV[11], 16)
for _, taken in ipairs(cmsgpack.unpack(ARGV[10])) do
  local source, ids, digests = CELL .. 'exec:' .. taken[1], {}, {}
  for index, node_id in ipairs(taken[2]) do
    if not new.known[node_id] then
      ids[#ids + 1] = node_id
      digests[#digests + 1] = taken[3][index]
    end
  end
  if not are_as_recorded(source, ids, digests) then
    return { 'LOST' }
  end
  for index, value in ipairs(read_fields(source .. ':values', ids)) do
    if not value then
      return { 'LOST' }
    end
    if string.byte(value) == 114 then
      if redis.call('EXISTS', CELL .. 'val:' .. string.sub(value, 2)) == 0 then
        return { 'LOST' }
      end
      new.apart[#new.apart + 1] = ids[index]
      new.apart[#new.apart + 1] = string.sub(value, 2)
    end
    new.values[#new.values + 1] = ids[index]
    new.values[#new.values + 1] = value
  end
end

-- From here on everything is written.
started = digits(now)
if ARGV[6] ~= '' then
  redis.call('SET', shape, ARGV[6])
end
if former ~= ARGV[5] then
  use('shape:' .. ARGV[5])
  if former then
    give_up('shape:' .. former)
  end
end
redis.call('SET', key .. ':plan', ARGV[4])
if line ~= '' then
  redis.call('HSET', CELL .. 'ran:' .. line, redis.call('HGET', key, 'what'), id)
end
if #new.ids > 0 then
  write_nodes(id, tenant, line, histories, new, 'reused', '', ARGV[12], now)
end
local counts = cmsgpack.unpack(ARGV[9])
redis.call(
  'HSET', key, 'stages', #counts, 'total', ARGV[7], 'started', started,
  'starter', ARGV[3], 'starter_token', '0', 'shape', ARGV[5]
)
redis.call('HDEL', key, 'ready', 'returned')
tell(key, 'started', 'stages', #counts)
if #new.ids > 0 then
  tell_nodes(key, new.ids, new.counts)
end
if #counts == 0 then
  end_execution(id, state_at_end(key), now, ARGV[3])
  return answer('ENDED', started, '0')
end

local shards = {}
for stage, many in ipairs(counts) do
  for _, field in ipairs({ ':shards', ':open' }) do
    shards[#shards + 1] = (stage - 1) .. field
    shards[#shards + 1] = many
  end
end
redis.call('DEL', key .. ':shards')
write_chunks('HSET', key .. ':shards', shards)
redis.call('HSET', key, 'state', 'RUNNING', 'stage', '0', 'began', started)
redis.call('HINCRBY', CELL .. 'open', 'PENDING', -1)
redis.call('HINCRBY', CELL .. 'open', 'RUNNING', 1)
if line ~= '' then
  redis.call('SET', CELL .. 'line:' .. line .. ':running', id)
end
local look = now
token = 0
if ARGV[8] ~= '' and counts[1] == 1 then
  look = now + tonumber(ARGV[8])
  token = take_shard(key, '0:0', false, ARGV[3], now, look)
  redis.call('HSET', key, 'starter_token', token)
  if expires ~= '' then
    look = math.min(look, tonumber(expires))
  end
end
redis.call('ZADD', CELL .. 'due', digits(look), id)
return answer('STARTED', started, digits(token), tenant, now)
