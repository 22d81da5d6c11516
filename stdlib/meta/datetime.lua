---@meta datetime

-- Instants in time zones. Now is the host's: in a rehearsal the clock is a simulated one. A zone is a name such as
-- "Asia/Shanghai", an offset such as "+08:00", or "UTC", which is the default.

---@class datetime
local datetime = {}

---An instant in a zone. Compared by the instant; `tostring` gives ISO 8601.
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

---What is added; months before days before clock time, each may be negative.
---@class datetime.amounts
---@field years? integer
---@field months? integer
---@field weeks? integer
---@field days? integer
---@field hours? integer
---@field minutes? integer
---@field seconds? integer
---@field milliseconds? integer

---How a text is read.
---@class datetime.parse_options
---@field format? string  letters of strptime, such as "%d.%m.%Y %H:%M"; ISO 8601 by default
---@field tz? string  the zone of a text that names none; one that does is turned to it

---The instant it is now.
---@param tz? string
---@return datetime.moment
function datetime.now(tz) end

---The instant so many seconds after 1970-01-01T00:00:00Z.
---@param seconds number
---@param tz? string
---@return datetime.moment
function datetime.from_unix(seconds, tz) end

---Reads a date, or a date and time.
---@param text string
---@param options? datetime.parse_options
---@return datetime.moment
function datetime.parse(text, options) end

---Adds by the calendar of its zone: a day more is the same time on the next day.
---@param amounts datetime.amounts
---@return datetime.moment
function moment:add(amounts) end

---A text by the letters of strftime.
---@param format string  such as "%Y-%m-%d %H:%M"
---@return string
function moment:format(format) end

---The same instant in another zone.
---@param tz string
---@return datetime.moment
function moment:in_tz(tz) end

---ISO 8601: "2026-05-01T09:00:00+08:00".
---@return string
function moment:iso() end

---The first instant of the unit that it lies in; weeks begin on Monday.
---@param unit "year"|"month"|"week"|"day"|"hour"|"minute"|"second"
---@return datetime.moment
function moment:start_of(unit) end

---Seconds since 1970-01-01T00:00:00Z.
---@return number
function moment:unix() end

return datetime
