---@meta datetime

-- Times in time zones. The clock is the host's; a rehearsal simulates it. A time zone is a name such as "Asia/Shanghai", an
-- offset such as "+08:00", or "UTC" (the default).

---@class datetime
local datetime = {}

---A point in time, in a time zone. Comparisons ignore the time zone. `tostring` returns ISO 8601.
---@class datetime.moment
---@field year integer
---@field month integer  1 to 12
---@field day integer  1 to 31
---@field hour integer
---@field minute integer
---@field second integer
---@field nanosecond integer
---@field weekday integer  1 is Monday, 7 is Sunday
---@field yearday integer  1 to 366
---@field offset integer  seconds east of UTC
---@field zone string
---@operator add(number|string): datetime.moment
---@operator sub(number|string): datetime.moment
---@operator sub(datetime.moment): number
local moment = {}

---Amounts to add. Months are added first, then days, then hours and smaller units. Each may be negative.
---@class datetime.amounts
---@field years? integer
---@field months? integer
---@field weeks? integer
---@field days? integer
---@field hours? integer
---@field minutes? integer
---@field seconds? integer
---@field milliseconds? integer

---Options for parsing.
---@class datetime.parse_options
---@field format? string  a strptime format, such as "%d.%m.%Y %H:%M"; ISO 8601 by default
---@field tz? string  the time zone of the result; also of the text, if the text names none

---Returns the current time.
---@param tz? string
---@return datetime.moment
function datetime.now(tz) end

---Returns the time that is `seconds` after 1970-01-01T00:00:00Z.
---@param seconds number
---@param tz? string
---@return datetime.moment
function datetime.from_unix(seconds, tz) end

---Parses a date, or a date and time.
---@param text string
---@param options? datetime.parse_options
---@return datetime.moment
function datetime.parse(text, options) end

---Adds in the calendar of its time zone: one day later is the same clock time on the next day.
---@param amounts datetime.amounts
---@return datetime.moment
function moment:add(amounts) end

---Formats the time by a strftime format.
---@param format string  such as "%Y-%m-%d %H:%M"
---@return string
function moment:format(format) end

---Returns the same point in time in another time zone.
---@param tz string
---@return datetime.moment
function moment:in_tz(tz) end

---Returns ISO 8601: "2026-05-01T09:00:00+08:00".
---@return string
function moment:iso() end

---Returns the start of the unit that contains it. Weeks start on Monday.
---@param unit "year"|"month"|"week"|"day"|"hour"|"minute"|"second"
---@return datetime.moment
function moment:start_of(unit) end

---Returns the seconds since 1970-01-01T00:00:00Z.
---@return number
function moment:unix() end

return datetime
