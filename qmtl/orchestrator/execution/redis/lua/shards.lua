-- Taking a shard, for a claim and for a start that claims.

-- Whether an execution's time is over.
local function is_over(expires, now)
  return expires and expires ~= '' and tonumber(expires) <= now
end

-- Give a shard a new token and a lease; return the token and how often it was claimed since a node
-- of it was committed. Tokens are no less than the clock: a server that lost its last writes must not
-- give one twice, of which an earlier one may be held by a worker that knows nothing of the loss.
local function take_shard(key, name, again, nonce, now, ends)
  local token = math.max(tonumber(redis.call('HGET', key, 'token') or '0') + 1, now)
  redis.call('HSET', key, 'token', digits(token))
  redis.call(
    'HSET', key .. ':shards',
    name .. ':token', digits(token), name .. ':lease', digits(ends),
    name .. ':claimed', digits(now), name .. ':nonce', nonce, name .. ':again', again and '1' or '0'
  )
  return token, redis.call('HINCRBY', key .. ':shards', name .. ':claims', 1)
end
