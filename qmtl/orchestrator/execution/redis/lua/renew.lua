-- Lengthen the lease of a shard.
--
-- KEYS   1 execution  2 shards
-- ARGV   1 stage  2 shard  3 token  4 length of the lease in ms
-- Reply  1, or 0 where the shard has another token or the execution is not RUNNING

local name = ARGV[1] .. ':' .. ARGV[2]
local shard = redis.call('HMGET', KEYS[2], name .. ':token', name .. ':done')
if redis.call('HGET', KEYS[1], 'state') ~= 'RUNNING' or shard[1] ~= ARGV[3] then
  return 0
end
if not shard[2] then
  redis.call('HSET', KEYS[2], name .. ':lease', digits(now_ms() + tonumber(ARGV[4])))
end
return 1
