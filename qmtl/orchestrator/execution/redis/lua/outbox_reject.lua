-- Note that entries could not be mirrored; those that failed too often are put aside.
--
-- KEYS   1 outbox  2 count of rewinds  3 failures  4 entries put aside
-- ARGV   1 group  2 rewinds when the entries were read  3 tries  4 most entries put aside
--        5 reason  6.. ids
-- Reply  how many were put aside

if (redis.call('GET', KEYS[2]) or '0') ~= ARGV[2] or redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end

local function is_pending(id)
  local found = redis.pcall('XPENDING', KEYS[1], ARGV[1], id, id, 1)
  return not found.err and #found > 0
end

local put_aside = 0
for at = 6, #ARGV do
  local id = ARGV[at]
  if is_pending(id) and redis.call('HINCRBY', KEYS[3], id, 1) >= tonumber(ARGV[3]) then
    for _, entry in ipairs(redis.call('XRANGE', KEYS[1], id, id)) do
      redis.call(
        'XADD', KEYS[4], 'MAXLEN', '~', ARGV[4], '*',
        'entry', id, 'reason', ARGV[5], unpack(entry[2])
      )
    end
    redis.call('XACK', KEYS[1], ARGV[1], id)
    redis.call('HDEL', KEYS[3], id)
    put_aside = put_aside + 1
  end
end
return put_aside
