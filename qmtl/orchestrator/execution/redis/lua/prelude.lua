-- Helpers that stand before every script of the ledger.
--
-- ARGV[1] is the cell's prefix, behind which scripts build the names of keys; KEYS[1], for the
-- server, is one of them.

local CELL = ARGV[1]

-- The server's clock in milliseconds: the only clock of the ledger.
local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- A whole number below 2^53 as digits; tostring would round it to 14 of them.
local function digits(number)
  return string.format('%.0f', number)
end

-- Call a command with many arguments; Lua's stack holds only some thousands at once. Each call
-- costs more than the arguments that it carries.
local CHUNK = 2000

local function write_chunks(command, key, arguments, first)
  local last = #arguments
  for start = first or 1, last, CHUNK do
    redis.call(command, key, unpack(arguments, start, math.min(start + CHUNK - 1, last)))
  end
end

-- Read many fields of a hash; false stands for one that is not there.
local function read_fields(key, fields)
  local found = {}
  for start = 1, #fields, CHUNK do
    local last = math.min(start + CHUNK - 1, #fields)
    local part = redis.call('HMGET', key, unpack(fields, start, last))
    if start == 1 and last == #fields then
      return part
    end
    for _, value in ipairs(part) do
      found[#found + 1] = value
    end
  end
  return found
end
