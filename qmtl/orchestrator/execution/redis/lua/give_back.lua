-- Count a claim of a shard no more, since a server that was away ended it; once a token.
--
-- KEYS   1 execution
-- ARGV   1 cell  2 stage  3 shard  4 token  5 how often for one shard at most
-- Reply  1, or 0 where nothing is counted, this was given back before, the token is of an earlier
--        attempt, or claims of the shard were given back that often

local shards, name = KEYS[1] .. ':shards', ARGV[2] .. ':' .. ARGV[3]
local claims, given = unpack(redis.call('HMGET', shards, name .. ':claims', name .. ':given'))
if tonumber(claims or '0') == 0 or tonumber(given or '0') >= tonumber(ARGV[5]) then
  return 0
elseif tonumber(ARGV[4]) <= tonumber(redis.call('HGET', KEYS[1], 'reopened_token') or '0') then
  return 0
elseif redis.call('HSETNX', shards, name .. ':back:' .. ARGV[4], '1') == 0 then
  return 0
end
redis.call('HINCRBY', shards, name .. ':given', 1)
redis.call('HINCRBY', shards, name .. ':claims', -1)
return 1
