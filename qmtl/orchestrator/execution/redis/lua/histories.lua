-- Read the latest points of nodes.
--
-- KEYS   1 cell's own
-- ARGV   1 cell  2 packed groups: {key of a line and interval, latest bucket or '+inf', {node id,
--        ...}, {how many, ...}}
-- Reply  a list for each node of each group: {bucket, point, bucket, point, ...}, newest first

local BATCH = 200
local MOST_BUCKETS = 20000 -- bounds the time for which the server is held
local replies = {}

-- Walk the buckets newest first; each is asked for all nodes that have not got their points.
local function walk(line, latest, ids, counts, points)
  local open = {}
  for index in ipairs(ids) do
    open[index] = index
  end
  for first = 0, MOST_BUCKETS - 1, BATCH do
    local buckets = redis.call('ZREVRANGEBYSCORE', line, latest, '-inf', 'LIMIT', first, BATCH)
    for _, bucket in ipairs(buckets) do
      local wanted, still = {}, {}
      for at, index in ipairs(open) do
        wanted[at] = ids[index]
      end
      for at, point in ipairs(read_fields(line .. ':' .. bucket, wanted)) do
        local index = open[at]
        local own = points[index]
        if point then
          own[#own + 1] = bucket
          own[#own + 1] = point
        end
        if #own < 2 * counts[index] then
          still[#still + 1] = index
        end
      end
      open = still
      if #open == 0 then
        return
      end
    end
    if #buckets < BATCH then
      return
    end
  end
end

for _, group in ipairs(cmsgpack.unpack(ARGV[2])) do
  local points = {}
  for index in ipairs(group[3]) do
    points[index] = {}
    replies[#replies + 1] = points[index]
  end
  walk(group[1], group[2], group[3], group[4], points)
end
return replies
