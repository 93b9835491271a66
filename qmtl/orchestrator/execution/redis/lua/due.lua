-- Find executions whose time has come, and put their next time away.
--
-- The scores of KEYS[1] say when to look at an execution, not yet that something is due: a look
-- that finds nothing due moves the score to the next time at which something could be.
--
-- KEYS   1 due  (and, for each execution found there, its own key and its shards)
-- ARGV   1 prefix of the executions' keys  2 how many to return at most
--        3 ms until one that is returned is looked at again; twice as many each time that nothing
--        of it was claimed since, up to sixteen times
--        4 ms after which an execution without plan, or a shard never claimed, is due
-- Reply  a list of {tenant, execution id, stage, 'shard,shard,...'}

local now = now_ms()
local limit, again, unclaimed = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local MOST_LOOKS = 2000 -- bounds the time for which the server is held
local MOST_DOUBLINGS = 4
local found = {}

-- Return the shards that are due, and else the next time at which one could be.
local function due_shards(shards, stage, began)
  local count = tonumber(redis.call('HGET', shards, stage .. ':shards'))
  local due, next_look = {}, math.huge
  for shard = 0, count - 1 do
    local name = stage .. ':' .. shard
    local fields = redis.call('HMGET', shards, name .. ':done', name .. ':lease')
    if not fields[1] then
      local at = fields[2] and tonumber(fields[2]) or began + unclaimed
      if at <= now then
        due[#due + 1] = shard
      else
        next_look = math.min(next_look, at)
      end
    end
  end
  return due, next_look
end

local function look(id)
  local key = ARGV[1] .. id
  local fields = redis.call('HMGET', key, 'state', 'tenant', 'stage', 'created', 'began')
  local next_look
  if fields[1] == 'PENDING' then
    next_look = tonumber(fields[4]) + unclaimed
    if next_look <= now then
      return { fields[2], id, '-1', '' }
    end
  elseif fields[1] == 'RUNNING' then
    local due
    due, next_look = due_shards(key .. ':shards', fields[3], tonumber(fields[5]))
    if #due > 0 or next_look == math.huge then
      return { fields[2], id, fields[3], table.concat(due, ',') }
    end
  end
  return nil, next_look
end

local looks = 0
repeat
  local batch = math.min(limit - #found, MOST_LOOKS - looks)
  local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', digits(now), 'LIMIT', 0, batch)
  looks = looks + #ids
  for _, id in ipairs(ids) do
    local entry, next_look = look(id)
    if entry then
      found[#found + 1] = entry
      local times = redis.call('HINCRBY', ARGV[1] .. id, 'returned', 1)
      next_look = now + math.max(again, 1) * 2 ^ math.min(times - 1, MOST_DOUBLINGS)
    end
    if next_look then
      redis.call('ZADD', KEYS[1], digits(next_look), id)
    else
      redis.call('ZREM', KEYS[1], id)
    end
  end
until #ids == 0 or #found >= limit or looks >= MOST_LOOKS
return found
