---@meta os

-- The harmless functions of Lua's `os`. The clock is the host's, and the time zone is always UTC. For other time zones, use
-- `datetime`.

---@class os
local os = {}

---The fields of a date.
---@class os.fields
---@field year integer|string
---@field month integer|string
---@field day integer|string
---@field hour? integer|string  12 by default
---@field min? integer|string
---@field sec? integer|string
---@field wday? integer  1 is Sunday
---@field yday? integer
---@field isdst? boolean  always false

---Returns the seconds since 1970 of the current time or of a date. Normalises fields of the date that are out of range.
---@param fields? os.fields
---@return integer
function os.time(fields) end

---Returns a date as text by a strftime format ("%c" by default), or as a table of fields for "*t".
---@param format? string
---@param time? integer|string  now by default
---@return string|os.fields
function os.date(format, time) end

---Returns the seconds between two times.
---@param later number
---@param earlier number
---@return number
function os.difftime(later, earlier) end

---Returns the CPU time that the script has used, in seconds.
---@return number
function os.clock() end

return os
