-- Committing nodes, for a commit and for what a start reuses.
--
-- Nodes come as a packed {ids, kinds, keys, apart, groups} and, behind all other arguments, two
-- arguments each: record, and value: 'i' and the bytes, 'r' and the address of a large one, or ''.
--   kinds   a letter a node: 'S'ucceeded, 'R'eused, 'F'ailed, 'T'imed out, 'N'ever ran
--   keys    the call key of each node, '' for none
--   apart   id, address, ... of the large values
--   groups  {{interval_ms, bucket_ms, keep, revision, sources}, {id, point, ...}}, ...; '' for the
--           point of a node without result

local function without(flat, known)
  local kept = {}
  for at = 1, #flat, 2 do
    if not known[flat[at]] then
      kept[#kept + 1] = flat[at]
      kept[#kept + 1] = flat[at + 1]
    end
  end
  return kept
end

-- Return those of these nodes that are committed already, as a set, or nil for none.
local function known_nodes(key, ids)
  local known
  if #ids > 0 and redis.call('EXISTS', key .. ':nodes') == 1 then
    for index, record in ipairs(read_fields(key .. ':nodes', ids)) do
      if record then
        known = known or {}
        known[ids[index]] = true
      end
    end
  end
  return known
end

-- Read the nodes of this call, without those that are committed already; records and values begin
-- at ARGV[first].
local function new_nodes(key, packed, first)
  local ids, kinds, keys, apart, groups = unpack(cmsgpack.unpack(packed))
  local known = known_nodes(key, ids)
  local records, values = {}, {}
  local new = { ids = ids, records = records, kinds = kinds, keys = keys, values = values,
    apart = apart, groups = groups, known = known or {} }
  if known then
    local its_kinds = {}
    new.ids, new.keys, new.apart = {}, {}, without(apart, known)
    for index, id in ipairs(ids) do
      if not known[id] then
        new.ids[#new.ids + 1] = id
        new.keys[#new.keys + 1] = keys[index]
        its_kinds[#its_kinds + 1] = string.sub(kinds, index, index)
      end
    end
    new.kinds = table.concat(its_kinds)
    for _, group in ipairs(groups) do
      group[2] = without(group[2], known)
    end
  end
  local at = first
  for _, id in ipairs(ids) do
    if not new.known[id] then
      records[#records + 1] = id
      records[#records + 1] = ARGV[at]
      if ARGV[at + 1] ~= '' then
        values[#values + 1] = id
        values[#values + 1] = ARGV[at + 1]
      end
    end
    at = at + 2
  end
  return new
end

local function count_kinds(kinds)
  local counts = {}
  for _, letter in ipairs({ 'S', 'R', 'F', 'T', 'N' }) do
    counts[letter] = select(2, string.gsub(kinds, letter, ''))
  end
  return counts
end

-- Note results by call key; a key whose node has none is free again where the mark is ours.
local function note_keys(id, attempt, tenant, new, mark, ttl_ms, now)
  local noted, freed = {}, {}
  local entry = attempt == '1' and id or id .. '@' .. attempt
  for index, key in ipairs(new.keys) do
    if key ~= '' then
      local kind = string.byte(new.kinds, index)
      if kind == 83 or kind == 82 then
        noted[#noted + 1] = key
        noted[#noted + 1] = entry
      else
        freed[#freed + 1] = key
      end
    end
  end
  if #noted > 0 then
    note_results(tenant, noted, ttl_ms, now)
  end
  if #freed == 0 then
    return
  end
  for _, marks in ipairs({ mark_keys(tenant, now) }) do
    for index, held in ipairs(read_fields(marks, freed)) do
      if held == mark then
        redis.call('HDEL', marks, freed[index])
      end
    end
  end
end

-- Write what is new, one outbox entry that lists it, and the counts; call it with some.
local function write_nodes(id, tenant, line, histories, new, reused_as, mark, ttl_ms, now)
  local key = CELL .. 'exec:' .. id
  local attempt = digits(cmsgpack.unpack(new.records[2])[3]) -- all of one call are of one attempt
  write_chunks('HSET', key .. ':nodes', new.records)
  write_chunks('HSET', key .. ':values', new.values)
  local gaps = string.find(new.kinds, '[FTN]')
  if gaps then -- values of an earlier attempt
    local gone = {}
    for index, node_id in ipairs(new.ids) do
      local kind = string.byte(new.kinds, index)
      if kind ~= 83 and kind ~= 82 then
        gone[#gone + 1] = node_id
      end
    end
    write_chunks('HDEL', key .. ':values', gone)
  end
  use_large(key, new.apart)
  if histories ~= '' then
    for _, group in ipairs(new.groups) do
      if #group[2] > 0 then
        redis.call('SADD', key .. ':places', digits(group[1][1]) .. ':' .. digits(group[1][2]))
        if write_points(histories, group[1], group[2], line ~= '', gaps, id) then
          note_change(id, group[1][2])
        end
      end
    end
  end
  note_keys(id, attempt, tenant, new, mark, ttl_ms, now)
  redis.call('HINCRBY', key, 'done', #new.ids)
  new.counts = count_kinds(new.kinds)
  local computed, reused = new.counts.S + new.counts.F + new.counts.T, new.counts.R
  redis.call('HINCRBY', key, 'results', new.counts.S + reused)
  local tallies = CELL .. 'tallies:' .. tenant
  if computed > 0 then
    redis.call('HINCRBY', tallies, 'computed', computed)
  end
  if reused > 0 then
    redis.call('HINCRBY', tallies, reused_as, reused)
  end
  local entry = redis.call(
    'XADD', CELL .. 'outbox', '*',
    'tenant', tenant, 'execution', id, 'nodes', table.concat(new.ids, ','),
    'attempt', attempt
  )
  redis.call('HSET', key, 'entry', entry)
end
