-- Results by call key, and marks of the keys that a shard computes.
--
-- memo:{tenant}:{call key} is the execution that has the result. marks:{tenant}:{hour} is a hash
-- call key -> 'execution:stage:shard:token', of the hour in which it was marked, so that marks that
-- nobody takes back are gone after two. A mark is dead once its shard is done, was claimed anew or
-- lost its lease: commits of results need not take it back.

local MARK_MS = 3600000

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

-- Return the keys with a result, each with its execution, and the keys that a living shard other
-- than mark's computes; mark the others, unless mark is nil.
local function hold(tenant, mark, keys, now)
  local known, elsewhere, free = {}, {}, {}
  local names, current, before = {}, mark_keys(tenant, now)
  for index, key in ipairs(keys) do
    names[index] = CELL .. 'memo:' .. tenant .. ':' .. key
  end
  local results = read_fields(nil, names)
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
