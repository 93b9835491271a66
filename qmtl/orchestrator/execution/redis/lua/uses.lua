-- What several executions name: large values and shapes, kept while anybody does.
--
-- uses is a hash: name of such a key -> how many executions name it; exec:{id}:large is the set of
-- the large values that an execution ever named. What nobody names any more is there for a while
-- still: who stored it may be about to name it.

local UNUSED_MS = 3600000

local function use(name)
  redis.call('HINCRBY', CELL .. 'uses', name, 1)
  redis.call('PERSIST', CELL .. name)
end

local function give_up(name)
  if redis.call('HINCRBY', CELL .. 'uses', name, -1) <= 0 then
    redis.call('HDEL', CELL .. 'uses', name)
    redis.call('PEXPIRE', CELL .. name, digits(UNUSED_MS))
  end
end

-- Let an execution name large values: {node id, address, ...}.
local function use_large(key, apart)
  for at = 2, #apart, 2 do
    if redis.call('SADD', key .. ':large', apart[at]) == 1 then
      use('val:' .. apart[at])
    end
  end
end
