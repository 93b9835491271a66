-- Read the buckets of a line at which something was asked for.
--
-- KEYS   1 buckets of the line
-- ARGV   1 cell  2 first bucket or '-inf'  3 last bucket or '+inf'  4.. what
-- Reply  {bucket, ...}, ascending

local wanted, found = {}, {}
for at = 4, #ARGV do
  wanted[ARGV[at]] = true
end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[2], ARGV[3])) do
  local bucket, what = string.match(member, '^(.*):(.*)$')
  if wanted[what] and found[#found] ~= bucket then
    found[#found + 1] = bucket
  end
end
return found
