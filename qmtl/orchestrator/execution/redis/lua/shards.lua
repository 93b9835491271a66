-- Tokens, and taking a shard: for a claim and for a start that claims.

-- Whether an execution's time is over.
local function is_over(expires, now)
  return expires and expires ~= '' and tonumber(expires) <= now
end

-- Return a token of an execution that is higher than all before. It is no less than the clock: a
-- server that lost its last writes must not give one twice, which a worker may still hold that knows
-- nothing of the loss.
local function next_token(key, now)
  local token = math.max(tonumber(redis.call('HGET', key, 'token') or '0') + 1, now)
  redis.call('HSET', key, 'token', digits(token))
  return token
end

-- Give a shard a new token and a lease; return the token and how often it was claimed since a node
-- of it was committed.
local function take_shard(key, name, again, nonce, now, ends)
  local token = next_token(key, now)
  redis.call(
    'HSET', key .. ':shards',
    name .. ':token', digits(token), name .. ':lease', digits(ends),
    name .. ':claimed', digits(now), name .. ':nonce', nonce, name .. ':again', again and '1' or '0'
  )
  return token, redis.call('HINCRBY', key .. ':shards', name .. ':claims', 1)
end
