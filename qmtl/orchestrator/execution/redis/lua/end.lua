-- End an execution that has not ended.
--
-- KEYS   1 execution
-- ARGV   1 cell  2 execution id  3 nonce of the call  4 its final state  5 error document, '' for none
--        6 '1' where it is to end only if its time is over
-- Reply  1, or 0 where it has ended already, is unknown, or is to have the time that is left

local fields = redis.call('HMGET', KEYS[1], 'state', 'ender', 'expires')
if fields[1] ~= 'PENDING' and fields[1] ~= 'RUNNING' then
  return fields[2] == ARGV[3] and 1 or 0
end
local now = now_ms()
if ARGV[6] == '1' and not is_over(fields[3], now) then
  return 0
end
end_execution(ARGV[2], ARGV[4], now, ARGV[3], ARGV[5])
return 1
