-- Note what nodes cost.
--
-- KEYS   1 costs of a strategy's nodes, without their generation
-- ARGV   1 cell  2 ms for which costs are known at least  3.. node id, microseconds, ...

note_costs(KEYS[1], ARGV[2], now_ms(), ARGV, 3)
