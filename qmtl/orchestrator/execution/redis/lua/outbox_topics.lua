-- Note the ids of topics; where one replaces another, everything retained is to be read anew.
--
-- A topic counts only while its id is still the one that the caller knew, so of several callers
-- that see the same loss one rewinds.
--
-- KEYS   1 outbox  2 count of rewinds  3 failures  4 topics
-- ARGV   1 group  2.. three for each topic: name, id that was known ('' for none), id now
-- Reply  1 where the outbox was rewound, else 0

local lost = false
for at = 2, #ARGV, 3 do
  local topic, before, now = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local known = redis.call('HGET', KEYS[4], topic) or ''
  if known == before and now ~= known and now ~= '' then
    redis.call('HSET', KEYS[4], topic, now)
    lost = lost or before ~= ''
  end
end
if not lost then
  return 0
end

-- A new group holds nothing pending, so a late acknowledgement of the old one finds nothing.
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('XGROUP', 'DESTROY', KEYS[1], ARGV[1])
end
redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
local flat, facts = redis.call('XINFO', 'STREAM', KEYS[1]), {}
for at = 1, #flat, 2 do
  facts[flat[at]] = flat[at + 1]
end
-- What was trimmed counts as read, or the group's lag would count it too.
local gone = digits(facts['entries-added'] - facts['length'])
redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], '0', 'ENTRIESREAD', gone)
redis.call('DEL', KEYS[3])
redis.call('INCR', KEYS[2])
return 1
