-- Remove readers that have nothing pending and asked for nothing for long.
--
-- KEYS   1 outbox
-- ARGV   1 group  2 idle time in ms
-- Reply  how many were removed

local found = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if found.err then
  return 0 -- no outbox, or no group
end
local removed = 0
for _, flat in ipairs(found) do
  local facts = {}
  for at = 1, #flat, 2 do
    facts[flat[at]] = flat[at + 1]
  end
  if facts['pending'] == 0 and facts['idle'] >= tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], facts['name'])
    removed = removed + 1
  end
end
return removed
