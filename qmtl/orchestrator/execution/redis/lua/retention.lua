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
  if not (tenant and histories) then -- nobody can tell whose they are, or what names them
    redis.call('ZREM', CELL .. 'remains', id)
    return 0
  end
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

-- Take an execution out of the pages. An earlier release may have kept only its document; one that
-- is gone altogether is passed over there, and taken out by who reads the page.
local function leave_pages(id, key)
  local tenant, strategy, place, base, document = unpack(redis.call(
    'HMGET', key, 'tenant', 'strategy', 'place', 'base', 'doc'
  ))
  if document and not (tenant and strategy and place) then
    local known, found = pcall(cmsgpack.unpack, document)
    if known and type(found) == 'table' and type(found.created_ms) == 'number' then
      tenant, strategy = tenant or found.tenant, strategy or found.strategy
      place = place or string.format('%015.0f', found.created_ms) .. ':' .. id
    end
  end
  if tenant and place then
    redis.call('ZREM', CELL .. 'execs:' .. tenant, place)
  end
  if tenant and place and strategy then
    redis.call('ZREM', CELL .. 'execs:' .. tenant .. ':' .. strategy, place)
  end
  if tenant and base then
    redis.call('ZREM', CELL .. 'replays:' .. tenant, base .. ' ' .. id)
  end
  return tenant
end

-- Forget an execution that has ended, but for values that may be read. It never fails for what it
-- does not find: the oldest one would keep all others from being forgotten.
local function forget(id, again)
  local key = CELL .. 'exec:' .. id
  local tenant = leave_pages(id, key)
  local shape, histories, bucket, line = unpack(redis.call(
    'HMGET', key, 'shape', 'histories', 'bucket', 'line'
  ))
  redis.call('ZREM', CELL .. 'ended', id)
  if line and line ~= '' then
    redis.call('ZREM', CELL .. 'unrepaired:' .. line, id)
  end
  if shape then
    give_up('shape:' .. shape)
  end
  redis.call(
    'UNLINK', key, key .. ':inputs', key .. ':plan', key .. ':shards', key .. ':nodes',
    key .. ':cleared', key .. ':bell', key .. ':events'
  )
  if redis.call('EXISTS', key .. ':places', key .. ':values') < 2 then
    drop_values(id)
  elseif tenant and histories and bucket then
    redis.call(
      'HSET', key .. ':remains', 'tenant', tenant, 'histories', histories, 'bucket', bucket
    )
    look_at_remains(id, again)
  end -- else its values stay: points may name them, and nobody can tell
end
