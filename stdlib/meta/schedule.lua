---@meta schedule

--- Jobs: functions that `mooncast serve` runs at their times. A script declares them at its top level; with
--- `mooncast run FILE` they are only declared, and `mooncast run FILE --job NAME` runs one of them now.
---@class schedule
schedule = {}

---@class schedule.Options
---@field name? string unique in the project; by default the script's name
---@field tz? string the time zone by its IANA name, such as "Asia/Shanghai"; UTC by default
---@field missed? "once"|"skip"|"all" what becomes of instants that passed while nothing ran; "once" by default
---@field grace? string|number for how long a missed instant is worth running; "1h" by default
---@field overlap? "skip"|"queue"|"cancel" what an instant does that finds the job's last run going on; "skip" by default
---@field timeout? string|number the longest that a run may take
---@field jitter? string|number the most by which each run is put off
---@field rerun? boolean whether a run that was killed half-way is entered again whatever it had sent

---@class schedule.Context
---@field name string the job's name
---@field scheduled_at number the instant, in seconds since 1970
---@field run string the instant as text; a broadcast takes it as its `run`
---@field attempt integer 1, and one more each time that the run is entered again

--- By a cron expression of five fields (or six, with seconds first).
---@param expr string such as "0 9 * * mon-fri"
---@param options schedule.Options
---@param fn fun(context: schedule.Context)
---@overload fun(expr: string, fn: fun(context: schedule.Context))
function schedule.cron(expr, options, fn) end

--- At every multiple of a duration since midnight, UTC.
---@param duration string|number such as "15m", or seconds
---@param options schedule.Options
---@param fn fun(context: schedule.Context)
---@overload fun(duration: string|number, fn: fun(context: schedule.Context))
function schedule.every(duration, options, fn) end

--- Once.
---@param time string|number such as "2026-12-24 18:00" in the job's zone, or seconds since 1970
---@param options schedule.Options
---@param fn fun(context: schedule.Context)
---@overload fun(time: string|number, fn: fun(context: schedule.Context))
function schedule.at(time, options, fn) end

return schedule
