-- How many shards workers run at once.
--
-- The hash has `until:shards` for each worker, with the millisecond at which it no longer counts.

local function offer_at(offer, now)
  local ends, shards = string.match(offer, '^(%d+):(%d+)$')
  return tonumber(ends) > now and tonumber(shards) or 0
end

-- The shards that all workers of the cell run at once.
local function offered(now)
  local total = 0
  for _, offer in ipairs(redis.call('HVALS', CELL .. 'workers')) do
    total = total + offer_at(offer, now)
  end
  return total
end
