---@meta log

-- Log lines, each with the script and line that wrote it.

---@class log
local log = {}

---Writes a line for the author of the script.
---@param message any
---@param fields? table<string, any>
function log.debug(message, fields) end

---Writes a line about the progress of the run.
---@param message any
---@param fields? table<string, any>
function log.info(message, fields) end

---Writes a warning.
---@param message any
---@param fields? table<string, any>
function log.warn(message, fields) end

---Writes an error.
---@param message any
---@param fields? table<string, any>
function log.error(message, fields) end

return log
