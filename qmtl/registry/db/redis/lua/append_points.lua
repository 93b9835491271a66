-- Add a batch to a source's points under one new revision, or nothing at all.
-- KEYS: points (sorted set), facts (hash: revision, count, columns)
-- ARGV: columns the caller saw, columns the rows are written in, times (doubles), rows (doubles)
-- A member is revision (8 bytes) .. time (8 bytes) .. row; big-endian, so that members of equal
-- score stand in the order of their revisions. The time keeps members of equal rows apart.
-- Returns {revision, added, corrected, unchanged}, or {columns} where the caller saw others.
local NAN = '\0\0\0\0\0\0\248\127'
local BATCH = 500
local points, facts = KEYS[1], KEYS[2]
local seen, columns, times, rows = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local stored = redis.call('HGET', facts, 'columns') or '[]'
if stored ~= seen then
  return {stored}
end

local count = #times / 8
local width = count > 0 and #rows / count or 0
local revision = tonumber(redis.call('HGET', facts, 'revision') or '0')
local mark = struct.pack('>I8', revision + 1)
local newest = redis.call('ZREVRANGE', points, 0, 0, 'WITHSCORES')[2]
newest = newest and tonumber(newest)

local function current(time)
  if newest == nil or time > newest then
    return nil
  end
  local at = string.format('%.0f', time)
  return redis.call('ZREVRANGEBYSCORE', points, at, at, 'LIMIT', 0, 1)[1]
end

local added, corrected, unchanged = 0, 0, 0
local pending = {}
local function flush()
  if #pending > 0 then
    redis.call('ZADD', points, unpack(pending))
    pending = {}
  end
end

for i = 0, count - 1 do
  local time = struct.unpack('<d', times, i * 8 + 1)
  local row = string.sub(rows, i * width + 1, (i + 1) * width)
  local known = current(time)
  -- A row that was written before a column came reads NaN there.
  local old = known and string.sub(known, 17)
  if old and old .. string.rep(NAN, (width - #old) / 8) == row then
    unchanged = unchanged + 1
  else
    if old then corrected = corrected + 1 else added = added + 1 end
    pending[#pending + 1] = string.format('%.0f', time)
    pending[#pending + 1] = mark .. struct.pack('>d', time) .. row
    if #pending >= 2 * BATCH then flush() end
  end
end
flush()

if added + corrected > 0 then
  revision = revision + 1
  redis.call('HSET', facts, 'revision', revision, 'columns', columns)
  redis.call('HINCRBY', facts, 'count', added)
end
return {revision, added, corrected, unchanged}
