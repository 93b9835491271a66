-- Say whether it is the turn of an ordered execution.
--
-- KEYS   1 execution
-- ARGV   1 cell  2 execution id
-- Reply  how many have left its line, or -1 where another one comes first

local line = redis.call('HGET', KEYS[1], 'line')
if line and line ~= '' and not is_its_turn(line, ARGV[2]) then
  return -1
end
return tonumber(line and redis.call('HGET', CELL .. 'turns', line) or '0')
