-- Ordered executions of a line: one at a time, the earliest bucket first.
--
-- line:{line} is a zset of those that have not ended or are not settled, by bucket and then id;
-- line:{line}:running names the one that runs. buckets:{line} is a zset by bucket of everything that
-- was ever asked of the line, 'bucket:what' with what for a version and its targets; ran:{line}
-- names by that the execution that ran last. turns counts by line how many have left it.
--
-- 'changed' of an execution is the latest bucket at which it, or one whose place it took, changed
-- results that no later bucket was compared with. Where there are later buckets, and none of them
-- is still to run, it stays in its line once it ended ('landed') until somebody settles that.
--
-- unrepaired:{line} is a zset by bucket of repairs that were ended before they ran out, so that what
-- stands at their bucket is out of date. 'repairs' tells a repair; an execution that was told to
-- compare in the place of another one is one too where the same was run before it.

-- Whether an execution may start: no other of its line runs, and none has an earlier bucket.
local function is_its_turn(line, id)
  local key = CELL .. 'line:' .. line
  local running = redis.call('GET', key .. ':running')
  if running and redis.call('HGET', CELL .. 'exec:' .. running, 'state') == 'RUNNING' then
    return false
  end
  return redis.call('ZRANGE', key, 0, 0)[1] == id
end

-- The execution whose turn it is, to run or to be settled, if there is one.
local function next_in_line(line)
  local id = redis.call('ZRANGE', CELL .. 'line:' .. line, 0, 0)[1]
  return id and is_its_turn(line, id) and id or nil
end

-- Let the one whose turn it is be looked at. To be settled it is due at once. To run it is due when a
-- message may be taken for lost: whoever ended the one before sends it.
local function wake_next(line, now)
  local next_id = next_in_line(line)
  if next_id then
    redis.call('HSET', CELL .. 'exec:' .. next_id, 'ready', digits(now))
    redis.call('HDEL', CELL .. 'exec:' .. next_id, 'returned')
    redis.call('ZADD', CELL .. 'due', digits(now), next_id)
  end
end

-- Take an execution out of its line.
local function leave_line(line, id, now)
  local key = CELL .. 'line:' .. line
  redis.call('ZREM', key, id)
  redis.call('HINCRBY', CELL .. 'turns', line, 1)
  if redis.call('GET', key .. ':running') == id then
    redis.call('DEL', key .. ':running')
  end
  wake_next(line, now)
end

-- The first member other than one at a bucket or later, with its bucket.
local function first_other(key, bucket, own)
  local found = redis.call('ZRANGEBYSCORE', key, bucket, '+inf', 'WITHSCORES', 'LIMIT', 0, 2)
  if found[1] == own then
    return found[3], tonumber(found[4])
  end
  return found[1], tonumber(found[2])
end

-- Note that results of a bucket changed; the latest of them counts.
local function note_change(id, bucket)
  local key = CELL .. 'exec:' .. id
  local known = redis.call('HGET', key, 'changed')
  if not known or tonumber(known) < bucket then
    redis.call('HSET', key, 'changed', digits(bucket))
  end
end

-- Let another one of the line compare in the place of one that ended.
local function tell_heir(line, heir, changed)
  local key = CELL .. 'exec:' .. heir
  note_change(heir, tonumber(changed))
  if redis.call('HEXISTS', CELL .. 'ran:' .. line, redis.call('HGET', key, 'what')) == 1 then
    redis.call('HSETNX', key, 'repairs', changed)
  end
end

-- Let an ordered execution that ended go out of its line, unless it must be settled before.
local function end_in_line(line, id, now)
  local key = CELL .. 'exec:' .. id
  local changed, bucket, what, attempt = unpack(redis.call(
    'HMGET', key, 'changed', 'bucket', 'what', 'attempt'
  ))
  if changed then
    what = attempt and '' or what -- a later attempt may have read what was repaired meanwhile
    local later, its_bucket = first_other(CELL .. 'buckets:' .. line, bucket, what)
    local heir, when = first_other(CELL .. 'line:' .. line, bucket, id)
    if later and heir and when <= its_bucket then
      tell_heir(line, heir, changed)
    elseif later then
      redis.call('HSET', key, 'landed', '1')
      redis.call('HDEL', key, 'returned')
      redis.call('ZADD', CELL .. 'due', digits(now), id)
      wake_next(line, now)
      return
    end
    redis.call('HDEL', key, 'changed')
  end
  leave_line(line, id, now)
end

-- Whether an execution runs all that another of its bucket was to run.
local function covers(id, other)
  local document = redis.call('HGET', CELL .. 'exec:' .. other, 'doc')
  local targets = cmsgpack.unpack(redis.call('HGET', CELL .. 'exec:' .. id, 'doc')).targets
  if not document or #targets == 0 then
    return true
  end
  local has, wanted = {}, cmsgpack.unpack(document).targets
  for _, target in ipairs(targets) do
    has[target] = true
  end
  for _, target in ipairs(wanted) do
    if not has[target] then
      return false
    end
  end
  return #wanted > 0
end

-- Keep account of what an end leaves out of date: of a repair that was broken off, its bucket.
local function note_unrepaired(line, id, broken_off)
  local bucket, repairs, attempt = unpack(redis.call(
    'HMGET', CELL .. 'exec:' .. id, 'bucket', 'repairs', 'attempt'
  ))
  -- A later attempt that ran out may have read what was there before the repair was due.
  if broken_off and not repairs or attempt and not broken_off then
    return
  end
  local key = CELL .. 'unrepaired:' .. line
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', key, bucket, bucket)) do
    if covers(id, other) then
      redis.call('ZREM', key, other)
    end
  end
  if broken_off then
    redis.call('ZADD', key, bucket, id)
  end
end

-- Give an execution its final state; ender says by what, so that a repeated step is known again.
local function end_execution(id, state, now, ender, failure)
  local key = CELL .. 'exec:' .. id
  local fields = redis.call('HMGET', key, 'state', 'total', 'line', 'tenant')
  redis.call(
    'HSET', key, 'state', state, 'ended', digits(now), 'done', fields[2] or '0', 'ender', ender
  )
  if failure and failure ~= '' then
    redis.call('HSET', key, 'error', failure)
  end
  tell_end(key, state, failure)
  redis.call('RPUSH', key .. ':bell', '1') -- whoever waits for the end is told at once
  redis.call('PEXPIRE', key .. ':bell', 60000)
  redis.call('ZREM', CELL .. 'due', id)
  redis.call('ZADD', CELL .. 'ended', digits(now), id)
  redis.call('HINCRBY', CELL .. 'open', fields[1], -1)
  redis.call('HINCRBY', CELL .. 'open:tenants', fields[4], -1)
  if fields[3] ~= '' then
    note_unrepaired(fields[3], id, state == 'CANCELLED' or (failure and failure ~= ''))
    end_in_line(fields[3], id, now)
  end
end

-- The final state of an execution whose last stage is done.
local function state_at_end(key)
  local fields = redis.call('HMGET', key, 'results', 'total')
  return (fields[1] or '0') == fields[2] and 'SUCCEEDED' or 'FAILED'
end
