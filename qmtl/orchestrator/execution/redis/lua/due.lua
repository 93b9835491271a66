-- Find executions whose time has come, and put their next time away.
--
-- The scores of 'due' say when to look at an execution, not yet that something is due: a look
-- that finds nothing due moves the score to the next time at which something could be.
--
-- KEYS   1 due
-- ARGV   1 cell  2 how many to return at most, beside those whose time is over
--        3 ms until one that is returned is looked at again; twice as many each time that nothing
--        of it was claimed since, up to sixteen times
--        4 ms after which an execution without plan, or a shard never claimed, is due
--        5 '1' where these are held back: they are looked at again, and one is returned now and then
-- Reply  a list of {tenant, execution id, stage, 'shard,shard,...', 1 where its time is over,
--        priority}

local now = now_ms()
local limit, again, unclaimed = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local held_back = ARGV[5] == '1'
local MOST_HELD_MS = 600000 -- before one may be let go, and between two of them
local ONE_IN = 40 -- executions that go may be one that is let go
local MOST_LOOKS = 2000 -- bounds the time for which the server is held
local MOST_DOUBLINGS = 4
local WAITING_MS = 60000 -- between looks at one whose turn will make it due
-- Between looks at one that is held back: with a call each two seconds, all of them together use half
-- of the looks, however many they are, so that what is due is found as soon as it is.
local crowd = redis.call('ZCARD', KEYS[1])
local held_ms = math.max(again, 1, 2 * crowd)
local found = {}
local held_since -- of what is looked at: since when it is due, and held back

-- When something is due that nobody claimed.
local function unclaimed_at(at)
  if held_back then
    held_since = at
    return math.max(at, now + held_ms)
  end
  return at
end

-- Return the shards that are due, and else the next time at which one could be.
local function due_shards(shards, stage, began)
  local many = tonumber(redis.call('HGET', shards, stage .. ':shards'))
  local due, next_look = {}, math.huge
  for shard = 0, many - 1 do
    local name = stage .. ':' .. shard
    local fields = redis.call('HMGET', shards, name .. ':done', name .. ':lease')
    if not fields[1] then
      local at = fields[2] and tonumber(fields[2]) or unclaimed_at(began + unclaimed)
      if at <= now then
        due[#due + 1] = shard
      else
        next_look = math.min(next_look, at)
      end
    end
  end
  return due, next_look
end

-- Return what is due of an execution, or nil and the next time to look, and when its time is over.
local function look(id)
  local key = CELL .. 'exec:' .. id
  local state, tenant, stage, opened, began, ready, line, expires = unpack(redis.call(
    'HMGET', key, 'state', 'tenant', 'stage', 'opened', 'began', 'ready', 'line', 'expires'
  ))
  if state ~= 'PENDING' and state ~= 'RUNNING' then
    if redis.call('HEXISTS', key, 'landed') == 0 then
      return nil, nil, nil
    elseif not is_its_turn(line, id) then
      return nil, now + WAITING_MS, math.huge
    end
    return { tenant, id, '-1', '', 0 }, nil, math.huge
  end
  local over = expires ~= '' and tonumber(expires) or math.huge
  if over <= now then
    return { tenant, id, stage or '-1', '', 1 }, nil, math.huge
  elseif state == 'PENDING' then
    if line ~= '' and not is_its_turn(line, id) then
      return nil, now + WAITING_MS, over
    end
    local at = unclaimed_at(tonumber(ready or opened) + unclaimed)
    if at <= now then
      return { tenant, id, '-1', '', 0 }, nil, over
    end
    return nil, at, over
  end
  local due, next_look = due_shards(key .. ':shards', stage, tonumber(began))
  if #due > 0 or next_look == math.huge then
    return { tenant, id, stage, table.concat(due, ','), 0 }, nil, over
  end
  return nil, next_look, over
end

local taken = 0

-- Return what is due of an execution, if anything is, and note when to look at it again.
local function put_away(id, entry, next_look, over)
  if entry then
    entry[6] = redis.call('HGET', CELL .. 'exec:' .. id, 'priority') or 'normal'
    found[#found + 1] = entry
    taken = taken + 1 - entry[5]
    local times = redis.call('HINCRBY', CELL .. 'exec:' .. id, 'returned', 1)
    next_look = now + math.max(again, 1) * 2 ^ math.min(times - 1, MOST_DOUBLINGS)
  end
  if next_look then
    redis.call('ZADD', KEYS[1], digits(math.min(next_look, over)), id)
  else
    redis.call('ZREM', KEYS[1], id)
  end
end

local may_go = held_back and now >= tonumber(redis.call('GET', CELL .. 'let_go') or '0')
local oldest -- of those that were returned least often: its rank, since when it is due, its id

local function note_held(id)
  local times = tonumber(redis.call('HGET', CELL .. 'exec:' .. id, 'returned') or '0')
  local rank = string.format('%09d:%015.0f:%s', times, held_since, id)
  if not oldest or rank < oldest[1] then
    oldest = { rank, held_since, id }
  end
end

local looks = 0
repeat
  local batch = math.min(limit - taken, MOST_LOOKS - looks)
  local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', digits(now), 'LIMIT', 0, batch)
  looks = looks + #ids
  for _, id in ipairs(ids) do
    held_since = nil
    local entry, next_look, over = look(id)
    put_away(id, entry, next_look, over)
    if may_go and not entry and held_since and held_since + MOST_HELD_MS <= now then
      note_held(id)
    end
  end
until #ids == 0 or taken >= limit or looks >= MOST_LOOKS

-- Nothing is held back for ever; but nearly all that wait this long only wait, and messages that say
-- the same again would lengthen the queue. So one goes now and then, the oldest, as what lost its
-- message becomes sooner or later. How fast executions go is told by how many there are for how
-- long it waits.
if oldest and taken < limit then
  held_back = false
  put_away(oldest[3], look(oldest[3]))
  local pause = math.min(MOST_HELD_MS, math.floor(ONE_IN * (now - oldest[2]) / crowd))
  redis.call('SET', CELL .. 'let_go', digits(now + pause))
end
return found
