-- Acknowledge entries, and trim acknowledged ones that are old or too many.
--
-- KEYS   1 outbox  2 count of rewinds  3 failures
-- ARGV   1 group  2 rewinds when the entries were read  3 retention in ms  4 most entries
--        5.. ids
-- Reply  how many were acknowledged; 0 where the outbox was rewound since they were read

if (redis.call('GET', KEYS[2]) or '0') ~= ARGV[2] or redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end

local acknowledged = 0
for at = 5, #ARGV do
  acknowledged = acknowledged + redis.call('XACK', KEYS[1], ARGV[1], ARGV[at])
  redis.call('HDEL', KEYS[3], ARGV[at])
end
if acknowledged == 0 then
  return 0 -- also where there is no group
end

trim(ARGV[3], ARGV[4])
return acknowledged
