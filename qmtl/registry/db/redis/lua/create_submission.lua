-- Keep a submission once for each idempotency key.
-- KEYS: submission (hash), unfinished (sorted set), idempotency (hash)
-- ARGV: state, record, entry in unfinished, created_ms, ttl_s, prefix of submissions, id,
--       fingerprint, and 1 where an idempotency key was given
-- Returns {'new'}, {'conflict'}, or {'kept', fields of the submission that is kept}.
local keyed = ARGV[9] == '1'
if keyed then
  local known = redis.call('HMGET', KEYS[3], 'id', 'fingerprint')
  if known[1] and known[1] ~= ARGV[7] then  -- its own id: the same call, sent again
    local fields = redis.call('HGETALL', ARGV[6] .. known[1])
    if #fields > 0 then
      if known[2] ~= ARGV[8] then return {'conflict'} end
      return {'kept', fields}
    end
  end
  redis.call('DEL', KEYS[3])
  redis.call('HSET', KEYS[3], 'id', ARGV[7], 'fingerprint', ARGV[8])
end
redis.call('HSET', KEYS[1], 'state', ARGV[1], 'record', ARGV[2], 'entry', ARGV[3],
           'ttl_s', ARGV[5], 'idempotency', keyed and KEYS[3] or '')
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
return {'new'}
