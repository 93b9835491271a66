-- Let the line of an execution that ended go on.
--
-- KEYS   1 execution
-- ARGV   1 cell  2 execution id  3 heir, which is compared with later ones when it ended; '' for none
-- Reply  1, or 0 where the heir stands in the line no more

local line, landed, changed = unpack(redis.call('HMGET', KEYS[1], 'line', 'landed', 'changed'))
if not landed then
  return 1
end
if ARGV[3] ~= '' then
  if not redis.call('ZSCORE', CELL .. 'line:' .. line, ARGV[3]) then
    return 0
  end
  tell_heir(line, ARGV[3], changed)
end
redis.call('HDEL', KEYS[1], 'landed', 'changed')
redis.call('ZREM', CELL .. 'due', ARGV[2])
leave_line(line, ARGV[2], now_ms())
return 1
