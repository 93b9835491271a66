-- Write what nodes of a shard came to, each once, and one outbox entry that lists the new ones.
--
-- KEYS   1 execution
-- ARGV   1 cell  2 execution id  3 stage  4 shard  5 token  6 '1' where the shard is done with this
--        7 where its time went, '' where it is not told  8 packed nodes
--        9 ms for which results are known by their key  10.. records and values (nodes.lua)
-- Reply  'ACCEPTED', 'STAGE_DONE' (no shard of the stage is open) or 'ENDED' (that was the last
--        stage); or, with nothing written: 'REFUSED' (another token, or not RUNNING) or 'MISSING'
--        (a large value is not there)

local id, key, name = ARGV[2], KEYS[1], ARGV[3] .. ':' .. ARGV[4]
local shards = key .. ':shards'
local ours = name .. ':' .. ARGV[5]
local state, tenant, histories, stage, stages, ender, line = unpack(redis.call(
  'HMGET', key, 'state', 'tenant', 'histories', 'stage', 'stages', 'ender', 'line'
))
if state ~= 'RUNNING' and ender == ours and ARGV[6] == '1' then
  return 'ENDED' -- by this commit, whose reply was lost
end
local token, done = unpack(redis.call('HMGET', shards, name .. ':token', name .. ':done'))
if state ~= 'RUNNING' or token ~= ARGV[5] then
  return 'REFUSED'
end
local new = new_nodes(key, ARGV[8], 10)
for at = 2, #new.apart, 2 do
  if redis.call('EXISTS', CELL .. 'val:' .. new.apart[at]) == 0 then
    return 'MISSING'
  end
end

-- From here on everything is written.
local now = now_ms()
if #new.ids > 0 then
  write_nodes(id, tenant, line, histories, new, 'waited', id .. ':' .. ours, ARGV[9], now)
  tell_nodes(key, new.ids, new.counts)
  redis.call('HDEL', shards, name .. ':claims')
end
if ARGV[7] ~= '' and not done then
  redis.call('HSET', shards, name .. ':spent', ARGV[7])
end
if ARGV[6] ~= '1' then
  return 'ACCEPTED'
end
local open
if done then
  open = tonumber(redis.call('HGET', shards, ARGV[3] .. ':open'))
else
  redis.call('HSET', shards, name .. ':done', digits(now))
  open = redis.call('HINCRBY', shards, ARGV[3] .. ':open', -1)
end
if open > 0 or stage ~= ARGV[3] then
  return 'ACCEPTED'
elseif tonumber(stage) + 1 == tonumber(stages) then
  end_execution(id, state_at_end(key), now, ours)
  return 'ENDED'
end
redis.call('ZADD', CELL .. 'due', 'LT', digits(now), id) -- the advance is due
return 'STAGE_DONE'
