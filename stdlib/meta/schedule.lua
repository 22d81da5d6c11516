---@meta schedule

--- Jobs are functions that `mooncast serve` runs at scheduled times. A script declares jobs at its top level.
--- `mooncast run FILE` runs no jobs; `mooncast run FILE --job NAME` runs one of them now.
---
--- Daylight saving: if the clocks skip a scheduled time in spring, the job runs at the first moment after the gap, and
--- only once if the gap skips several. If the clocks show a scheduled time twice in autumn, the job runs the first time.
--- A cron expression that matches every hour, such as `*/15 * * * *`, follows the clock through both changes, so its
--- runs stay equally far apart.
---@class schedule
schedule = {}

---@class schedule.Options
---@field name? string  unique in the project; by default the script's name
---@field tz? string  the time zone: an IANA name such as "Asia/Shanghai", or an offset from UTC such as "+08:00"; UTC by default
---@field calendar? string  of schedule.cron: runs only on the workdays of `calendars/NAME.csv` or `calendars/NAME.ics`: weekdays without its holidays, and the days that it names as workdays
---@field on_holiday? "skip"|"next"  what to do with a time on a day that is no workday: leave it out, or run at the same time of the next workday; "skip" by default
---@field missed? "once"|"skip"|"all"  which scheduled times to make up for that are more than 5 s past: the latest, none, or all; "once" by default
---@field grace? string|number  how late a missed run may still start; "1h" by default
---@field overlap? "skip"|"queue"|"cancel"  what to do when a scheduled time comes and the previous run has not finished; "skip" by default
---@field timeout? string|number  the maximum duration of a run
---@field jitter? string|number  the maximum random delay of each run; less than the time between two runs
---@field rerun? boolean  true restarts a run that was killed, whatever it had sent

---@class schedule.Context
---@field name string  the job's name
---@field scheduled_at number  the scheduled time, in seconds since 1970
---@field run string  the scheduled time as text; the default `run` of broadcasts in the job
---@field attempt integer  1, and one higher each time the run is restarted

--- The default `run` of a broadcast: in a job the scheduled time as text, elsewhere "1".
schedule.run = "1"

--- Runs a job by a cron expression: five fields (minute, hour, day of the month, month, day of the week), six fields with
--- the seconds first, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. You can write months and weekdays by name
--- (jan, mon). `L` is the last day of the month, `15W` the working day nearest to the 15th, `fri#2` the second Friday,
--- `friL` the last Friday. If you restrict both the day of the month and the day of the week, the job runs on days that
--- match either. It runs on days that match both if the day of the week begins with `+`, or one of the two fields begins
--- with `*`.
---@param expr string  such as "0 9 * * mon-fri"
---@param options schedule.Options
---@param fn fun(context: schedule.Context)
---@overload fun(expr: string, fn: fun(context: schedule.Context))
function schedule.cron(expr, options, fn) end

--- Runs a job at every multiple of a duration, counted from 1970-01-01 UTC. A duration that divides a day therefore
--- starts at midnight UTC.
---@param duration string|number  such as "15m", or seconds; whole seconds
---@param options schedule.Options
---@param fn fun(context: schedule.Context)
---@overload fun(duration: string|number, fn: fun(context: schedule.Context))
function schedule.every(duration, options, fn) end

--- Runs a job once. If the time has already passed when Mooncast first loads the script, the job missed it.
---@param time string|number  such as "2026-12-24 18:00" in the job's zone, "2026-12-24T18:00:00+08:00", or seconds since 1970
---@param options schedule.Options
---@param fn fun(context: schedule.Context)
---@overload fun(time: string|number, fn: fun(context: schedule.Context))
function schedule.at(time, options, fn) end

return schedule
