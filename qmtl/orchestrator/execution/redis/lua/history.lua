-- Histories of a line: a zset of the buckets of each interval, and a hash of points a bucket.
--
-- hist:{line}:{interval_ms} bucket -> bucket; behind it :keep, the most buckets that any plan of
-- the line wanted kept; :{bucket_ms} node id -> 'digest:execution:revision@sources'; and
-- :{bucket_ms}:was, the latest points that others replaced, 'node id:point'. hist:{line}:origins node
-- id -> its first bucket, of ordered lines.

local MOST_REPLACED = 100

-- Sort out points of one place, '' for a node without result, against those that stand there: what
-- is to be written, what is to be dropped, and whether that changes anything. Points of older pins
-- change nothing, see Pinned.outdates. What others replace with another digest is noted. A node
-- without result loses the point of this execution, of an earlier attempt; in an ordered line, any.
local function sorted_out(key, points, revision, sources, ordered, execution_id)
  local ids, kept, gone, was, changed = {}, {}, {}, {}, false
  for at = 1, #points, 2 do
    ids[#ids + 1] = points[at]
  end
  local newer_than = tonumber(revision)
  for index, old in ipairs(read_fields(key, ids)) do
    local id, point = ids[index], points[2 * index]
    local digest, its_id, its_revision, its_sources
    if old then
      digest, its_id, its_revision, its_sources = string.match(old, '^([^:]*):(.*):(%d+)@(%x*)$')
    end
    local drops = old and (ordered or its_id == execution_id)
    if not (old and its_sources == sources and tonumber(its_revision) > newer_than) then
      local new_digest = string.match(point, '^[^:]*')
      if point ~= '' then
        kept[#kept + 1] = id
        kept[#kept + 1] = point
      elseif drops then
        gone[#gone + 1] = id
      end
      if digest ~= new_digest and (point ~= '' or drops) then
        changed = true
        if old then
          was[#was + 1] = id .. ':' .. old
        end
      end
    end
  end
  if #was > 0 then
    write_chunks('RPUSH', key .. ':was', was, math.max(1, #was - MOST_REPLACED + 1))
    redis.call('LTRIM', key .. ':was', -MOST_REPLACED, -1)
  end
  return kept, gone, changed
end

-- Note the first bucket of nodes.
local function note_origins(histories, bucket, points)
  local key, ids, earlier = histories .. 'origins', {}, {}
  for at = 1, #points, 2 do
    ids[#ids + 1] = points[at]
  end
  for index, known in ipairs(read_fields(key, ids)) do
    if not known or tonumber(known) > bucket then
      earlier[#earlier + 1] = ids[index]
      earlier[#earlier + 1] = digits(bucket)
    end
  end
  write_chunks('HSET', key, earlier)
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

-- Write points of one place: {interval_ms, bucket_ms, keep, revision, sources}, {id, point, ...};
-- return whether a digest changed. gaps says that there may be nodes without result.
local function write_points(histories, place, points, ordered, gaps, execution_id)
  local line = histories .. digits(place[1])
  local bucket = digits(place[2])
  local key = line .. ':' .. bucket
  local kept, gone, changed = points, {}, true
  if gaps or redis.call('EXISTS', key) == 1 then
    kept, gone, changed =
      sorted_out(key, points, place[4], place[5], ordered, execution_id)
  end
  write_chunks('HDEL', key, gone)
  if #kept == 0 then
    return changed
  end
  write_chunks('HSET', key, kept)
  redis.call('ZADD', line, bucket, bucket)
  if ordered then
    note_origins(histories, place[2], kept)
  end
  drop_oldest(line, place[3])
  return changed
end
