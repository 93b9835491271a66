-- Name the execution whose turn it is in the line of another.
--
-- KEYS   1 execution
-- ARGV   1 cell
-- Reply  {tenant, execution id, priority}, or an empty list where none waits whose turn it is

local fields = redis.call('HMGET', KEYS[1], 'line', 'tenant')
local id = fields[1] and fields[1] ~= '' and next_in_line(fields[1]) or nil
return id and { fields[2], id, redis.call('HGET', CELL .. 'exec:' .. id, 'priority') } or {}
