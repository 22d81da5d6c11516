---@meta log

-- Lines for the log, each with its place in the script.

---@class log
local log = {}

---For the author of the script.
---@param message any
---@param fields? table<string, any>
function log.debug(message, fields) end

---For whoever follows the run.
---@param message any
---@param fields? table<string, any>
function log.info(message, fields) end

---Something to look at.
---@param message any
---@param fields? table<string, any>
function log.warn(message, fields) end

---Something that failed.
---@param message any
---@param fields? table<string, any>
function log.error(message, fields) end

return log
