-- Helpers that stand before every script of the ledger.

-- The server's clock in milliseconds: the only clock of the ledger.
local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- A whole number below 2^53 as digits; tostring would round it to 14 of them.
local function digits(number)
  return string.format('%.0f', number)
end

-- Call a command with many arguments; Lua's stack holds only some thousands at once.
local CHUNK = 1000

local function write_chunks(command, key, arguments, first, last)
  for start = first, last, CHUNK do
    redis.call(command, key, unpack(arguments, start, math.min(start + CHUNK - 1, last)))
  end
end

-- Read many fields of a hash; false stands for a field that is not there.
local function read_fields(key, fields)
  local found = {}
  for start = 1, #fields, CHUNK do
    local last = math.min(start + CHUNK - 1, #fields)
    for _, value in ipairs(redis.call('HMGET', key, unpack(fields, start, last))) do
      found[#found + 1] = value
    end
  end
  return found
end
