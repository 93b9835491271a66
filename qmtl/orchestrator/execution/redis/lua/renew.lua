-- Lengthen the lease of a shard.
--
-- KEYS   1 execution
-- ARGV   1 cell  2 stage  3 shard  4 token  5 ms of the lease
-- Reply  1, or 0 where the shard has another token, or the execution is not RUNNING or its time is
--        over

local now = now_ms()
local name = ARGV[2] .. ':' .. ARGV[3]
local execution = redis.call('HMGET', KEYS[1], 'state', 'expires')
local shard = redis.call('HMGET', KEYS[1] .. ':shards', name .. ':token', name .. ':done')
if execution[1] ~= 'RUNNING' or shard[1] ~= ARGV[4] or is_over(execution[2], now) then
  return 0
end
if not shard[2] then
  redis.call('HSET', KEYS[1] .. ':shards', name .. ':lease', digits(now + tonumber(ARGV[5])))
end
return 1
