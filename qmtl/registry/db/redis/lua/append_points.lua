-- Add a batch to a source's points under one new revision, or nothing at all.
-- KEYS: points (sorted set), facts (hash: revision, count, columns)
-- ARGV: columns the caller saw, columns its rows are written in, number of records, records in
--       ascending time, each its time (8 bytes) .. row
-- A member is revision (8 bytes) .. record; numbers big-endian, so that members of equal score
-- stand in the order of their revisions. The time keeps members of equal rows apart.
-- Returns {revision, added, corrected, unchanged}, or {columns} where the caller saw others.
local NAN = '\0\0\0\0\0\0\248\127'
local BATCH = 500
local DENSE = 4
local points, facts = KEYS[1], KEYS[2]
local seen, columns, count, records = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

local stored = redis.call('HGET', facts, 'columns') or '[]'
if stored ~= seen then
  return {stored}
end

local revision = tonumber(redis.call('HGET', facts, 'revision') or '0')
if count == 0 then
  return {revision, 0, 0, 0}
end
local mark = struct.pack('>I8', revision + 1)
local width = #records / count
local first = struct.unpack('>d', records)
local last = struct.unpack('>d', records, (count - 1) * width + 1)

-- What is known of the batch's times: read in one go unless most of it would be other times.
local known = nil
local between = redis.call('ZCOUNT', points, first, last)
if between <= DENSE * count then
  known = {}
  local start = redis.call('ZCOUNT', points, '-inf', '(' .. string.format('%.0f', first))
  for from = start, start + between - 1, 2 * BATCH do
    local to = math.min(from + 2 * BATCH, start + between) - 1
    for _, member in ipairs(redis.call('ZRANGE', points, from, to)) do
      known[string.sub(member, 9, 16)] = member  -- a later revision comes later
    end
  end
end

local function current(time, record)
  if known then
    return known[string.sub(record, 1, 8)]
  end
  return redis.call('ZREVRANGEBYSCORE', points, time, time, 'LIMIT', 0, 1)[1]
end

local added, corrected, unchanged = 0, 0, 0
local pending, held = {}, 0
local function flush()
  if held > 0 then
    redis.call('ZADD', points, unpack(pending, 1, held))
    held = 0
  end
end

for i = 0, count - 1 do
  local record = string.sub(records, i * width + 1, (i + 1) * width)
  local time = struct.unpack('>d', record)
  local old = current(time, record)
  -- A row that was written before a column came reads NaN there.
  if old and string.sub(old, 9) .. string.rep(NAN, (width + 8 - #old) / 8) == record then
    unchanged = unchanged + 1
  else
    if old then corrected = corrected + 1 else added = added + 1 end
    pending[held + 1] = time
    pending[held + 2] = mark .. record
    held = held + 2
    if held == 2 * BATCH then flush() end
  end
end
flush()

if added + corrected > 0 then
  revision = revision + 1
  redis.call('HSET', facts, 'revision', revision, 'columns', columns)
  redis.call('HINCRBY', facts, 'count', added)
end
return {revision, added, corrected, unchanged}
