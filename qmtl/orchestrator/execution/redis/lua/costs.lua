-- What nodes of a strategy cost: costs:{tenant}:{strategy}:{generation}, a hash node id ->
-- microseconds. What nobody asked for or noted during a whole generation is gone after it.

local function costs_key(costs, ttl_ms, now, back)
  return costs .. ':' .. digits(math.floor(now / tonumber(ttl_ms)) - back)
end

-- Note costs: the arguments from the first one on are node id, microseconds, ...
local function note_costs(costs, ttl_ms, now, noted, first)
  local current = costs_key(costs, ttl_ms, now, 0)
  write_chunks('HSET', current, noted, first)
  redis.call('PEXPIRE', current, digits(2 * tonumber(ttl_ms)))
end

-- Read costs, and keep those that were noted in the generation before.
local function costs_of(costs, ttl_ms, now, ids)
  local found = read_fields(costs_key(costs, ttl_ms, now, 0), ids)
  local older = costs_key(costs, ttl_ms, now, 1)
  if redis.call('EXISTS', older) == 0 then
    return found
  end
  local missing, places, carried = {}, {}, {}
  for index, cost in ipairs(found) do
    if not cost then
      missing[#missing + 1] = ids[index]
      places[#places + 1] = index
    end
  end
  for at, cost in ipairs(read_fields(older, missing)) do
    if cost then
      found[places[at]] = cost
      carried[#carried + 1] = missing[at]
      carried[#carried + 1] = cost
    end
  end
  if #carried > 0 then
    note_costs(costs, ttl_ms, now, carried, 1)
  end
  return found
end
