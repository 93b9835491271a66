-- Ordered executions of a line: one at a time, the earliest bucket first.
--
-- line:{line} is a zset of those that have not ended, by bucket and then id; line:{line}:running
-- names the one that runs. What ends an execution leaves its line.

-- Whether an execution may start: no other of its line runs, and none has an earlier bucket.
local function is_its_turn(line, id)
  local key = CELL .. 'line:' .. line
  local running = redis.call('GET', key .. ':running')
  if running and redis.call('HGET', CELL .. 'exec:' .. running, 'state') == 'RUNNING' then
    return false
  end
  return redis.call('ZRANGE', key, 0, 0)[1] == id
end

-- The execution whose turn it is, if there is one.
local function next_in_line(line)
  local id = redis.call('ZRANGE', CELL .. 'line:' .. line, 0, 0)[1]
  return id and is_its_turn(line, id) and id or nil
end

-- Take an execution out of its line, and make the next one due at once.
local function leave_line(line, id, now)
  local key = CELL .. 'line:' .. line
  redis.call('ZREM', key, id)
  if redis.call('GET', key .. ':running') == id then
    redis.call('DEL', key .. ':running')
  end
  local next_id = next_in_line(line)
  if next_id then
    redis.call('HSET', CELL .. 'exec:' .. next_id, 'ready', digits(now))
    redis.call('HDEL', CELL .. 'exec:' .. next_id, 'returned')
    redis.call('ZADD', CELL .. 'due', digits(now), next_id)
  end
end

-- Give an execution its final state; ender says by what, so that a repeated step is known again.
local function end_execution(id, state, now, ender, failure)
  local key = CELL .. 'exec:' .. id
  local fields = redis.call('HMGET', key, 'state', 'total', 'line')
  redis.call(
    'HSET', key, 'state', state, 'ended', digits(now), 'done', fields[2] or '0', 'ender', ender
  )
  if failure and failure ~= '' then
    redis.call('HSET', key, 'error', failure)
  end
  redis.call('ZREM', CELL .. 'due', id)
  redis.call('HINCRBY', CELL .. 'open', fields[1], -1)
  if fields[3] ~= '' then
    leave_line(fields[3], id, now)
  end
end

-- The final state of an execution whose last stage is done.
local function state_at_end(key)
  local fields = redis.call('HMGET', key, 'results', 'total')
  return (fields[1] or '0') == fields[2] and 'SUCCEEDED' or 'FAILED'
end
