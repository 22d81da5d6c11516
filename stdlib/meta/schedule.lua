---@meta schedule

--- Jobs: functions that `mooncast serve` runs at their times. A script declares them at its top level; with
--- `mooncast run FILE` they are only declared, and `mooncast run FILE --job NAME` runs one of them now.
---
--- Daylight saving: a time of the day that the clocks leave out in spring runs at the first instant after the gap,
--- once even where the gap swallows several; one that they show twice in autumn runs the first time. A cron expression
--- for every hour, such as `*/15 * * * *`, follows the hands of the clock instead, and so keeps its distances.
---@class schedule
schedule = {}

---@class schedule.Options
---@field name? string  unique in the project; by default the script's name
---@field tz? string  the time zone by its IANA name, such as "Asia/Shanghai", or an offset from UTC, such as "+08:00"; UTC by default
---@field missed? "once"|"skip"|"all"  what becomes of instants found over 5 s late, for nothing ran: the latest runs, none, or all; "once" by default
---@field grace? string|number  for how long a missed instant is worth running; "1h" by default
---@field overlap? "skip"|"queue"|"cancel"  what an instant does that finds the job's last run going on; "skip" by default
---@field timeout? string|number  the longest that a run may take
---@field jitter? string|number  the most by which each run is put off, less than the time between two runs
---@field rerun? boolean  whether a run that was killed half-way is entered again whatever it had sent

---@class schedule.Context
---@field name string  the job's name
---@field scheduled_at number  the instant, in seconds since 1970
---@field run string  the instant as text; a broadcast takes it as its `run`
---@field attempt integer  1, and one more each time that the run is entered again

--- What a broadcast takes as its `run` when it names none: inside a job the instant as text, elsewhere "1".
schedule.run = "1"

--- By a cron expression of five fields (minute, hour, day of the month, month, day of the week), of six with seconds
--- first, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. Months and days have names (jan, mon); `L` is the
--- last day of a month, `15W` the working day nearest to the 15th, `fri#2` the second Friday, `friL` the last. When
--- both the day of the month and that of the week are given, either will do; with `+` before the latter, both must.
---@param expr string  such as "0 9 * * mon-fri"
---@param options schedule.Options
---@param fn fun(context: schedule.Context)
---@overload fun(expr: string, fn: fun(context: schedule.Context))
function schedule.cron(expr, options, fn) end

--- At every multiple of a duration, counted from midnight of 1970-01-01, UTC: what divides a day begins at each
--- midnight, UTC, and the rest keeps an even distance.
---@param duration string|number  such as "15m", or seconds; whole seconds
---@param options schedule.Options
---@param fn fun(context: schedule.Context)
---@overload fun(duration: string|number, fn: fun(context: schedule.Context))
function schedule.every(duration, options, fn) end

--- Once. A time that is past when the script is first seen counts as missed.
---@param time string|number  such as "2026-12-24 18:00" in the job's zone, "2026-12-24T18:00:00+08:00", or seconds since 1970
---@param options schedule.Options
---@param fn fun(context: schedule.Context)
---@overload fun(time: string|number, fn: fun(context: schedule.Context))
function schedule.at(time, options, fn) end

return schedule
