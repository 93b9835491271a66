-- Take a shard of the running stage under a new token.
--
-- KEYS   1 execution  2 shards  3 node records  4 due
-- ARGV   1 execution id  2 stage  3 shard  4 length of the lease in ms
-- Reply  {'GONE'}, {'DONE'}, {'BUSY'}, or {'RUN', token, claims of it since a node of it
--        was committed, node ids already committed...}

local execution = redis.call('HMGET', KEYS[1], 'state', 'stage')
if execution[1] ~= 'RUNNING' or execution[2] ~= ARGV[2] then
  return { 'GONE' }
end
local name = ARGV[2] .. ':' .. ARGV[3]
local shard = redis.call('HMGET', KEYS[2], name .. ':nodes', name .. ':done', name .. ':lease')
if not shard[1] then
  return { 'GONE' }
elseif shard[2] then
  return { 'DONE' }
end
local now = now_ms()
if shard[3] and tonumber(shard[3]) > now then
  return { 'BUSY' }
end

local token = redis.call('HINCRBY', KEYS[1], 'token', 1)
local ends = digits(now + tonumber(ARGV[4]))
redis.call(
  'HSET', KEYS[2],
  name .. ':token', digits(token), name .. ':lease', ends, name .. ':claimed', digits(now)
)
local claims = redis.call('HINCRBY', KEYS[2], name .. ':claims', 1)
redis.call('HDEL', KEYS[1], 'returned') -- by due.lua: its messages do arrive
redis.call('ZADD', KEYS[4], 'LT', ends, ARGV[1]) -- look again when the lease ends, if not before

local reply = { 'RUN', token, claims }
local ids = {}
for id in string.gmatch(shard[1], '[^,]+') do
  ids[#ids + 1] = id
end
for index, record in ipairs(read_fields(KEYS[3], ids)) do
  if record then
    reply[#reply + 1] = ids[index]
  end
end
return reply
