-- Read what is known of call keys, nodes and workers.
--
-- KEYS   1 costs of a strategy's nodes, without their generation
-- ARGV   1 cell  2 tenant  3 packed call keys  4 packed node ids  5 ms for which results are known
--        6 ms for which costs are known at least
-- Reply  {entry of each key (memo.lua), ...}, {microseconds of each node, ...}, shards at once; nil where
--        there is none

local keys, ids = cmsgpack.unpack(ARGV[3]), cmsgpack.unpack(ARGV[4])
local now = now_ms()
return {
  results_of(ARGV[2], keys, ARGV[5], now), costs_of(KEYS[1], ARGV[6], now, ids), offered(now)
}
