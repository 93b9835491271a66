-- Results by call key, and marks of the keys that a shard computes.
--
-- memo:{tenant}:{generation} is a hash call key -> execution that has the result, 'id@attempt' where
-- its record is of a later attempt than the first: one command writes a thousand. A key names a
-- result only while the record is of that attempt, as another may be of another runtime. Two generations are as long as results are to be known at least, so they are
-- known for up to half as long again; the fourth one back is dropped, freed in the background.
--
-- marks:{tenant}:{hour} is a hash call key -> 'execution:stage:shard:token', of the hour in which
-- it was marked, so that marks that nobody takes back are gone after two. A mark is dead once its
-- shard is done, was claimed anew or lost its lease: commits of results need not take it back.

local MARK_MS = 3600000
local GENERATIONS = 3 -- that are read

local function memo_key(tenant, ttl_ms, now, back)
  local generation = math.floor(now / (tonumber(ttl_ms) / 2)) - back
  return CELL .. 'memo:' .. tenant .. ':' .. digits(generation)
end

-- Return the entry of each key, false where it has none.
local function results_of(tenant, keys, ttl_ms, now)
  local found = read_fields(memo_key(tenant, ttl_ms, now, 0), keys)
  for back = 1, GENERATIONS - 1 do
    local older = memo_key(tenant, ttl_ms, now, back)
    if redis.call('EXISTS', older) == 1 then
      local missing, places = {}, {}
      for index, source in ipairs(found) do
        if not source then
          missing[#missing + 1] = keys[index]
          places[#places + 1] = index
        end
      end
      for at, source in ipairs(read_fields(older, missing)) do
        found[places[at]] = source
      end
    end
  end
  return found
end

-- Note entries: key, entry, key, entry, ...
local function note_results(tenant, noted, ttl_ms, now)
  local current = memo_key(tenant, ttl_ms, now, 0)
  write_chunks('HSET', current, noted)
  redis.call('PEXPIRE', current, digits(2 * tonumber(ttl_ms)))
  redis.call('UNLINK', memo_key(tenant, ttl_ms, now, GENERATIONS))
end

local function mark_keys(tenant, now)
  local hour = math.floor(now / MARK_MS)
  local prefix = CELL .. 'marks:' .. tenant .. ':'
  return prefix .. digits(hour), prefix .. digits(hour - 1)
end

local function is_alive(mark, now)
  local id, name, token = string.match(mark, '^(.*):(%d+:%d+):(%d+)$')
  local key = CELL .. 'exec:' .. id
  if redis.call('HGET', key, 'state') ~= 'RUNNING' then
    return false
  end
  local shard = redis.call(
    'HMGET', key .. ':shards', name .. ':token', name .. ':done', name .. ':lease'
  )
  return shard[1] == token and not shard[2] and tonumber(shard[3]) > now
end

-- Return the keys with a result, each with its entry, and the keys that a living shard other
-- than mark's computes; mark the others, unless mark is nil.
local function hold(tenant, mark, keys, ttl_ms, now)
  local known, elsewhere, free = {}, {}, {}
  if #keys == 0 then
    return known, elsewhere
  end
  local results = results_of(tenant, keys, ttl_ms, now)
  local current, before = mark_keys(tenant, now)
  local marks, older = read_fields(current, keys), read_fields(before, keys)
  local alive = {}
  for index, key in ipairs(keys) do
    local held = marks[index] or older[index]
    if held and held ~= mark and alive[held] == nil then
      alive[held] = is_alive(held, now)
    end
    if results[index] then
      known[#known + 1] = key
      known[#known + 1] = results[index]
    elseif held and held ~= mark and alive[held] then
      elsewhere[#elsewhere + 1] = key
    elseif mark and held ~= mark then
      free[#free + 1] = key
      free[#free + 1] = mark
    end
  end
  if #free > 0 then
    write_chunks('HSET', current, free)
    redis.call('PEXPIRE', current, digits(2 * MARK_MS))
  end
  return known, elsewhere
end
