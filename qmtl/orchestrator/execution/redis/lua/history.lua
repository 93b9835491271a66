-- Histories of a line: a zset of the buckets of each interval, and a hash of points a bucket.
--
-- hist:{line}:{interval_ms} bucket -> bucket; behind it :keep, the most buckets that any plan of
-- the line wanted kept; :{bucket_ms} node id -> 'digest:execution:revision@sources'; and
-- :{bucket_ms}:was, the latest points that others replaced, 'node id:point'.

local MOST_REPLACED = 100

-- Keep the points that stay where others stand already: not those of older pins, see
-- Pinned.outdates. What they replace with another digest is noted.
local function replacing(key, points, revision, sources)
  local ids, kept = {}, {}
  for at = 1, #points, 2 do
    ids[#ids + 1] = points[at]
  end
  local newer_than = tonumber(revision)
  for index, old in ipairs(read_fields(key, ids)) do
    local id, point = ids[index], points[2 * index]
    local digest, its_revision, its_sources
    if old then
      digest, its_revision, its_sources = string.match(old, '^([^:]*):.*:(%d+)@(%x*)$')
    end
    if not (old and its_sources == sources and tonumber(its_revision) > newer_than) then
      kept[#kept + 1] = id
      kept[#kept + 1] = point
      if old and digest ~= string.match(point, '^[^:]*') then
        redis.call('RPUSH', key .. ':was', id .. ':' .. old)
      end
    end
  end
  redis.call('LTRIM', key .. ':was', -MOST_REPLACED, -1)
  return kept
end

-- Drop the oldest buckets beyond what the line keeps.
local function drop_oldest(line, keep)
  local most = tonumber(redis.call('GET', line .. ':keep') or '0')
  if keep > most then
    most = keep
    redis.call('SET', line .. ':keep', digits(keep))
  end
  local excess = redis.call('ZCARD', line) - most
  if excess > 0 then
    for _, bucket in ipairs(redis.call('ZRANGE', line, 0, excess - 1)) do
      redis.call('DEL', line .. ':' .. bucket, line .. ':' .. bucket .. ':was')
    end
    redis.call('ZREMRANGEBYRANK', line, 0, excess - 1)
  end
end

-- Write points of one place: {interval_ms, bucket_ms, keep, revision, sources, id, point, ...}.
local function write_points(histories, place, points)
  local line = histories .. digits(place[1])
  local bucket = digits(place[2])
  local key = line .. ':' .. bucket
  if redis.call('ZADD', line, bucket, bucket) == 0 then
    points = replacing(key, points, place[4], place[5])
  end
  write_chunks('HSET', key, points)
  drop_oldest(line, place[3])
end
