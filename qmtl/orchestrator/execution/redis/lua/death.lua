-- Count a process that died while it planned an execution.
--
-- KEYS   1 execution
-- ARGV   1 cell  2 nonce of the call  3 attempt
-- Reply  how many did in this attempt, or 0 where it is not PENDING or has another attempt

local state, attempt, counter, deaths = unpack(redis.call(
  'HMGET', KEYS[1], 'state', 'attempt', 'death', 'deaths'
))
if state ~= 'PENDING' or (attempt or '1') ~= ARGV[3] then
  return 0
elseif counter == ARGV[2] then
  return tonumber(deaths)
end
redis.call('HSET', KEYS[1], 'death', ARGV[2])
return redis.call('HINCRBY', KEYS[1], 'deaths', 1)
