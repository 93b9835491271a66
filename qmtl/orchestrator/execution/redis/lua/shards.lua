-- Taking a shard, for a claim and for a start that claims.

-- Whether an execution's time is over.
local function is_over(expires, now)
  return expires and expires ~= '' and tonumber(expires) <= now
end

-- Give a shard a new token and a lease; return the token and how often it was claimed since a node
-- of it was committed.
local function take_shard(key, name, again, nonce, now, ends)
  local token = redis.call('HINCRBY', key, 'token', 1)
  redis.call(
    'HSET', key .. ':shards',
    name .. ':token', digits(token), name .. ':lease', digits(ends),
    name .. ':claimed', digits(now), name .. ':nonce', nonce, name .. ':again', again and '1' or '0'
  )
  return token, redis.call('HINCRBY', key .. ':shards', name .. ':claims', 1)
end
