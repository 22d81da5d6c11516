---@meta task

-- Several things at once within a run, and waiting.

---@class task
local task = {}

---Something that runs beside the rest of the script.
---@class task.handle
local handle = {}

---Waits until it has ended. Gives what its function returned, or raises its error.
---@return any ...
function handle:wait() end

---Ends its waiting with an error of kind `cancelled`.
---@return boolean  false when it has ended, or waits for nothing
function handle:cancel() end

---Starts a function beside the rest of the script.
---@param body fun(...): ...
---@param ... any  what the function is called with
---@return task.handle
function task.spawn(body, ...) end

---Waits for all of a list. Gives the list of their first results, or raises the first error once all have ended.
---@param list (task.handle|fun(): any)[]
---@return any[]
function task.all(list) end

---Waits.
---@param time number|string  seconds, or a text like "90s", "5m", "1h 30m", "2d"
function task.sleep(time) end

return task
