-- End an execution that has not ended.
--
-- KEYS   1 execution
-- ARGV   1 cell  2 execution id  3 nonce of the call  4 its final state  5 error document, '' for none
--        6 attempt that is to end, '' for any  7 'PENDING' where only a PENDING one is to end, 'OVER'
--        where only one whose time is over, '' for any
-- Reply  1, or 0 where it has ended already, is another one than that, or is unknown

local fields = redis.call('HMGET', KEYS[1], 'state', 'ender', 'attempt', 'expires')
if fields[1] ~= 'PENDING' and fields[1] ~= 'RUNNING' then
  return fields[2] == ARGV[3] and 1 or 0
elseif ARGV[6] ~= '' and ARGV[6] ~= (fields[3] or '1') then
  return 0
elseif ARGV[7] == 'PENDING' and fields[1] ~= 'PENDING' then
  return 0
end
local now = now_ms()
if ARGV[7] == 'OVER' and not is_over(fields[4], now) then
  return 0
end
end_execution(ARGV[2], ARGV[4], now, ARGV[3], ARGV[5])
return 1
