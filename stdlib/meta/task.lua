---@meta task

-- Concurrent tasks within a run, and waiting.

---@class task
local task = {}

---A task that runs concurrently with the rest of the script.
---@class task.handle
local handle = {}

---Waits until the task has finished. Returns the results of its function, or raises its error.
---@return any ...
function handle:wait() end

---Cancels the call that the task is waiting for: the call raises an error of kind `cancelled`.
---@return boolean  false if the task has finished, or is not waiting
function handle:cancel() end

---Starts a function as a task, concurrently with the rest of the script.
---@param body fun(...): ...
---@param ... any  the arguments of the function
---@return task.handle
function task.spawn(body, ...) end

---Runs all tasks and functions of a list and waits for them. Returns the list of their first results. If one fails, it waits
---for the others and then raises the first error.
---@param list (task.handle|fun(): any)[]
---@return any[]
function task.all(list) end

---Waits for a duration.
---@param time number|string  seconds, or a text like "90s", "5m", "1h 30m", "2d"
function task.sleep(time) end

return task
