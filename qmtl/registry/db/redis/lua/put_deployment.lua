-- Keep a copy of a deployment unless the one that is kept is newer.
-- KEYS: copy (hash: since_ms, record).  ARGV: since_ms, record
local kept = redis.call('HGET', KEYS[1], 'since_ms')
if kept and tonumber(kept) > tonumber(ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[1], 'since_ms', ARGV[1], 'record', ARGV[2])
return 1
