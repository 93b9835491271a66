-- Count a claim of a shard no more, since a server that was away ended it; once a token.
--
-- KEYS   1 execution
-- ARGV   1 cell  2 stage  3 shard  4 token
-- Reply  1, or 0 where nothing is counted, or this was given back before

local shards, name = KEYS[1] .. ':shards', ARGV[2] .. ':' .. ARGV[3]
if tonumber(redis.call('HGET', shards, name .. ':claims') or '0') == 0 then
  return 0
elseif redis.call('HSETNX', shards, name .. ':back:' .. ARGV[4], '1') == 0 then
  return 0
end
redis.call('HINCRBY', shards, name .. ':claims', -1)
return 1
