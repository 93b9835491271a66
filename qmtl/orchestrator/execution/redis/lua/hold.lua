-- Mark call keys as computed by a claimed shard.
--
-- KEYS   1 execution
-- ARGV   1 cell  2 execution id  3 stage  4 shard  5 token  6 packed call keys
--        7 ms for which results are known
-- Reply  {{key, entry, ...} with a result (memo.lua), {key, ...} that other shards compute}; nothing is
--        marked where the shard has another token or the execution is not RUNNING

local name = ARGV[3] .. ':' .. ARGV[4]
local execution = redis.call('HMGET', KEYS[1], 'state', 'tenant')
if not execution[2] then
  return { {}, {} }
end
local token = redis.call('HGET', KEYS[1] .. ':shards', name .. ':token')
local mark = execution[1] == 'RUNNING' and token == ARGV[5]
  and ARGV[2] .. ':' .. name .. ':' .. token or nil
return { hold(execution[2], mark, cmsgpack.unpack(ARGV[6]), ARGV[7], now_ms()) }
