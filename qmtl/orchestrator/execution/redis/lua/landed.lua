-- Read what an execution that ended and is not settled left to compare.
--
-- KEYS   1 execution
-- ARGV   1 cell  2 execution id  3 how many to pass over  4 how many to return at most
-- Reply  {}, or {latest bucket that changed, {execution id, ...} that ran last at its own and at
--        later buckets before the heir's, heir: the one that is next to run there or be settled, ''}

local line, landed, changed, bucket, what = unpack(redis.call(
  'HMGET', KEYS[1], 'line', 'landed', 'changed', 'bucket', 'what'
))
if not landed then
  return {}
end
local heir, its_bucket = first_other(CELL .. 'line:' .. line, bucket, ARGV[2])
local until_bucket = heir and '(' .. digits(its_bucket) or '+inf'
local asked = redis.call(
  'ZRANGEBYSCORE', CELL .. 'buckets:' .. line, bucket, until_bucket, 'LIMIT', ARGV[3], ARGV[4]
)
local ran = {}
for _, id in ipairs(read_fields(CELL .. 'ran:' .. line, asked)) do
  ran[#ran + 1] = id or ''
end
return { changed, ran, heir or '' }
