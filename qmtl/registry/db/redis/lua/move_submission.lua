-- Write how far a submission came; one that ended stays as it ended, and is retired later.
-- KEYS: submission (hash), unfinished (sorted set)
-- ARGV: state, 1 where it ends, outcome
-- Returns the fields of what is kept; none where there is no such submission.
local known = redis.call('HMGET', KEYS[1], 'entry', 'outcome', 'ttl_s', 'idempotency')
if not known[1] then
  return {}
end
if not known[2] then
  redis.call('HSET', KEYS[1], 'state', ARGV[1])
  if ARGV[2] == '1' then
    redis.call('HSET', KEYS[1], 'outcome', ARGV[3])
    redis.call('ZREM', KEYS[2], known[1])
    redis.call('EXPIRE', KEYS[1], known[3])
    if known[4] ~= '' then redis.call('EXPIRE', known[4], known[3]) end
  end
end
return redis.call('HGETALL', KEYS[1])
