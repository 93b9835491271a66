-- Acknowledge entries, and trim acknowledged ones that are old or too many.
--
-- KEYS   1 outbox  2 count of rewinds  3 failures
-- ARGV   1 group  2 rewinds when the entries were read  3 retention in ms  4 most entries
--        5.. ids
-- Reply  how many were acknowledged; 0 where the outbox was rewound since they were read

local PIECE = 500 -- most entries that the bound removes at once; a batch is smaller

if (redis.call('GET', KEYS[2]) or '0') ~= ARGV[2] or redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end

local function parts(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end

local function after(id)
  local ms, seq = parts(id)
  return digits(ms) .. '-' .. digits(seq + 1)
end

local function lesser(one, other)
  local ms, seq = parts(one)
  local other_ms, other_seq = parts(other)
  if ms < other_ms or (ms == other_ms and seq < other_seq) then
    return one
  end
  return other
end

-- The least id that may not be trimmed: of the first pending entry, else of the next to be read.
local function first_open()
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1])
  if pending[1] > 0 then
    return pending[2]
  end
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local facts = {}
    for at = 1, #group, 2 do
      facts[group[at]] = group[at + 1]
    end
    if facts['name'] == ARGV[1] then
      return after(facts['last-delivered-id'])
    end
  end
end

local acknowledged = 0
for at = 5, #ARGV do
  acknowledged = acknowledged + redis.call('XACK', KEYS[1], ARGV[1], ARGV[at])
  redis.call('HDEL', KEYS[3], ARGV[at])
end
if acknowledged == 0 then
  return 0 -- also where there is no group
end

local open = first_open()
local oldest = math.max(0, now_ms() - tonumber(ARGV[3]))
redis.call('XTRIM', KEYS[1], 'MINID', '=', lesser(digits(oldest) .. '-0', open))
local excess = redis.call('XLEN', KEYS[1]) - tonumber(ARGV[4])
if excess > 0 then
  local count = math.min(excess, PIECE)
  local first = redis.call('XRANGE', KEYS[1], '-', '(' .. open, 'COUNT', count)
  if #first > 0 then
    redis.call('XTRIM', KEYS[1], 'MINID', '=', after(first[#first][1]))
  end
end
return acknowledged
