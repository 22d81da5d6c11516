---@meta os

-- What of `os` can do no harm. The time is the host's, the zone is always UTC; `datetime` knows the others.

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

---Seconds since 1970: now, or of a date, whose fields may be over their ranges and are put right.
---@param fields? os.fields
---@return integer
function os.time(fields) end

---A date as text by the letters of strftime ("%c" by default), or as fields for "*t".
---@param format? string
---@param time? integer|string  now by default
---@return string|os.fields
function os.date(format, time) end

---Seconds between two times.
---@param later number
---@param earlier number
---@return number
function os.difftime(later, earlier) end

---Seconds of CPU that the script has used.
---@return number
function os.clock() end

return os
