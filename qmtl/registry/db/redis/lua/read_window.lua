-- Read the last points of a source at or before a time, as a revision shows them.
-- KEYS: points (sorted set), facts (hash)
-- ARGV: until (ms), period, revision
-- Returns {columns, newest first: time (8 bytes) .. row, each row as wide as the columns,
-- the source's revision now}.
local NAN = '\0\0\0\0\0\0\248\127'
local points, facts = KEYS[1], KEYS[2]
local period, revision = tonumber(ARGV[2]), tonumber(ARGV[3])

local known = redis.call('HMGET', facts, 'columns', 'revision')
local columns = known[1] or '[]'
local width = 16 + 8 * #cjson.decode(columns)
local chunk = math.min(math.max(period, 16), 4096)
-- From here on by rank: a chunk costs what it holds, wherever it lies.
local start = redis.call('ZCOUNT', points, '(' .. ARGV[1], '+inf')

local taken, count = {}, 0
local last = nil
while count < period do
  local members = redis.call('ZREVRANGE', points, start, start + chunk - 1)
  for _, member in ipairs(members) do
    local time = string.sub(member, 9, 16)
    -- The first member of a time that the revision shows is its latest.
    if time ~= last and struct.unpack('>I8', member) <= revision then
      last = time
      local record = string.sub(member, 9)
      if #member < width then record = record .. string.rep(NAN, (width - #member) / 8) end
      count = count + 1
      taken[count] = record
      if count == period then break end
    end
  end
  if #members < chunk then break end
  start = start + chunk
end
return {columns, table.concat(taken), known[2] or '0'}
