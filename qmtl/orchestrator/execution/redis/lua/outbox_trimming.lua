-- Trimming the outbox: acknowledged entries that are old or too many.

local PIECE = 500 -- most entries that the bound removes at once; a batch is smaller

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
  local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1])
  if pending.err then
    return nil -- nobody has read yet
  elseif pending[1] > 0 then
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

local function trim(retention_ms, most_entries)
  local open = first_open()
  if not open then
    return
  end
  local oldest = math.max(0, now_ms() - tonumber(retention_ms))
  redis.call('XTRIM', KEYS[1], 'MINID', '=', lesser(digits(oldest) .. '-0', open))
  local excess = redis.call('XLEN', KEYS[1]) - tonumber(most_entries)
  if excess > 0 then
    local count = math.min(excess, PIECE)
    local first = redis.call('XRANGE', KEYS[1], '-', '(' .. open, 'COUNT', count)
    if #first > 0 then
      redis.call('XTRIM', KEYS[1], 'MINID', '=', after(first[#first][1]))
    end
  end
end
