-- Forgetting executions, and values that outlive theirs.
--
-- ended is a zset of executions that have ended, by when. Histories read values of executions that
-- are forgotten, and so do plans that were made while they did. So the values of one with points stay
-- behind as its remains, until no point names it, and then until every execution is forgotten that
-- was there at that time: no later plan can name it.
--
-- exec:{id}:places is a set of the 'interval:bucket' at which an execution wrote points.
-- exec:{id}:remains is a hash: tenant, histories, bucket, and mark: once no point names it, the
-- newest place in the pages at that time. remains is a zset by when to look at it again.
-- replays:{tenant} is a zset in lexical order of 'place id' for each replay: it reads the plan of
-- what it replays, so it counts as being there since then.

-- Whether a point names an execution.
local function is_named(id, histories)
  local key = CELL .. 'exec:' .. id
  local node_ids = redis.call('HKEYS', key .. ':values')
  for _, place in ipairs(redis.call('SMEMBERS', key .. ':places')) do
    for _, point in ipairs(read_fields(histories .. place, node_ids)) do
      if point and string.match(point, '^[^:]*:(.*):%d+@%x*$') == id then
        return true
      end
    end
  end
  return false
end

-- Whether every execution of a tenant that was there when mark was the newest is forgotten.
local function is_past(tenant, mark)
  local first = redis.call('ZRANGE', CELL .. 'execs:' .. tenant, 0, 0)[1]
  local replay = redis.call('ZRANGE', CELL .. 'replays:' .. tenant, 0, 0)[1]
  return not (first and first <= mark or replay and string.match(replay, '^(.*) ') <= mark)
end

-- Let go of the values that an execution left.
local function drop_values(id)
  local key = CELL .. 'exec:' .. id
  for _, address in ipairs(redis.call('SMEMBERS', key .. ':large')) do
    give_up('val:' .. address)
  end
  redis.call('UNLINK', key .. ':values', key .. ':large', key .. ':places', key .. ':remains')
  redis.call('ZREM', CELL .. 'remains', id)
end

-- Let go of remains that nobody can read any more; else look again at a time. Return how many nodes
-- were looked at.
local function look_at_remains(id, again)
  local key = CELL .. 'exec:' .. id .. ':remains'
  local tenant, histories, mark = unpack(redis.call('HMGET', key, 'tenant', 'histories', 'mark'))
  local nodes = mark and 0 or redis.call('HLEN', CELL .. 'exec:' .. id .. ':values')
  if not mark and not is_named(id, histories) then
    mark = redis.call('ZRANGE', CELL .. 'execs:' .. tenant, -1, -1)[1] or ''
    redis.call('HSET', key, 'mark', mark)
  end
  if mark and is_past(tenant, mark) then
    drop_values(id)
  else
    redis.call('ZADD', CELL .. 'remains', digits(again), id)
  end
  return nodes
end

-- Forget an execution that has ended, but for values that may be read.
local function forget(id, again)
  local key = CELL .. 'exec:' .. id
  local tenant, strategy, place, base, shape, histories, bucket = unpack(redis.call(
    'HMGET', key, 'tenant', 'strategy', 'place', 'base', 'shape', 'histories', 'bucket'
  ))
  redis.call('ZREM', CELL .. 'execs:' .. tenant, place)
  redis.call('ZREM', CELL .. 'execs:' .. tenant .. ':' .. strategy, place)
  redis.call('ZREM', CELL .. 'ended', id)
  if base then
    redis.call('ZREM', CELL .. 'replays:' .. tenant, base .. ' ' .. id)
  end
  if shape then
    give_up('shape:' .. shape)
  end
  redis.call(
    'UNLINK', key, key .. ':inputs', key .. ':plan', key .. ':shards', key .. ':nodes',
    key .. ':cleared', key .. ':bell'
  )
  if redis.call('EXISTS', key .. ':places', key .. ':values') == 2 then
    redis.call(
      'HSET', key .. ':remains', 'tenant', tenant, 'histories', histories, 'bucket', bucket
    )
    look_at_remains(id, again)
  else
    drop_values(id)
  end
end
