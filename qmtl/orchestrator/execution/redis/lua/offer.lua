-- Note how many shards a worker runs at once, and forget workers that told nothing for too long.
--
-- KEYS   1 workers
-- ARGV   1 cell  2 worker  3 shards, 0 to forget it  4 ms for which this counts

local now = now_ms()
local offers = redis.call('HGETALL', KEYS[1])
for at = 1, #offers, 2 do
  if offer_at(offers[at + 1], now) == 0 then
    redis.call('HDEL', KEYS[1], offers[at])
  end
end
if ARGV[3] == '0' then
  redis.call('HDEL', KEYS[1], ARGV[2])
else
  redis.call('HSET', KEYS[1], ARGV[2], digits(now + tonumber(ARGV[4])) .. ':' .. ARGV[3])
end
