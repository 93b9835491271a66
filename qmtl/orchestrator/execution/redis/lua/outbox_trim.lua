-- Trim acknowledged entries that are old or too many.
--
-- KEYS   1 outbox
-- ARGV   1 group  2 retention in ms  3 most entries

if redis.call('EXISTS', KEYS[1]) == 1 then
  trim(ARGV[2], ARGV[3])
end
