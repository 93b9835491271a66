-- Read what is kept of shards, and the time.
--
-- KEYS   1 shards
-- ARGV   1 cell
-- Reply  {now in ms, field, value, ...}

local facts = redis.call('HGETALL', KEYS[1])
table.insert(facts, 1, digits(now_ms()))
return facts
