-- What happens to an execution, for whoever watches it: exec:{id}:events, a stream.
--
-- Its entries have kind, attempt, and how many nodes are done and planned once the step is taken;
-- further fields by kind:
--   started   stages
--   nodes     counts, a letter of nodes.lua and a number for each kind of end; nodes, their ids
--   stage     stage, stages
--   ended     state, error: a code, ''
--   reopened  none
--
-- Nobody needs the stream: what it tells stands in the execution and its records. So it is bounded,
-- and gone soon after the end: even a short one takes the server 4 KB.

local MOST_EVENTS = 1000
local MOST_LISTED = 500 -- nodes of one event; a commit has half as many, a start may reuse thousands
local EVENTS_LAST_MS = 60000 -- after the end

local function tell(key, kind, ...)
  local attempt, done, total = unpack(redis.call('HMGET', key, 'attempt', 'done', 'total'))
  redis.call(
    'XADD', key .. ':events', 'MAXLEN', '~', MOST_EVENTS, '*', 'kind', kind,
    'attempt', attempt or '1', 'done', done or '0', 'total', total or '0', ...
  )
end

-- Tell of nodes that were committed; counts is {letter -> number}.
local function tell_nodes(key, ids, counts)
  local counted = {}
  for letter, number in pairs(counts) do
    if number > 0 then
      counted[#counted + 1] = letter .. number
    end
  end
  local listed = table.concat(ids, ',', 1, math.min(#ids, MOST_LISTED))
  tell(key, 'nodes', 'counts', table.concat(counted, ','), 'nodes', listed)
end

-- Tell of the end; failure is an error document, or '' or nil for none.
local function tell_end(key, state, failure)
  local error = failure and failure ~= '' and cmsgpack.unpack(failure).code or ''
  tell(key, 'ended', 'state', state, 'error', error)
  redis.call('PEXPIRE', key .. ':events', EVENTS_LAST_MS)
end

-- Tell that there is another attempt, and keep the stream for it.
local function tell_reopened(key)
  redis.call('PERSIST', key .. ':events')
  tell(key, 'reopened')
end
