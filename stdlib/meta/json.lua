---@meta json

-- JSON texts and Lua values.

---@class json
local json = {}

---JSON's null. A field that is nil is left out; one that is `json.null` is written as null.
---@type lightuserdata
json.null = nil

---A value as JSON. Fields are written in the order of their names.
---@param value any
---@param options? { pretty?: boolean }
---@return string
function json.encode(value, options) end

---The value that a JSON text stands for. A number that Lua would change, an integer beyond 2^63 or a decimal with more digits
---than a double has, becomes a text with every digit.
---@param text string
---@return any
function json.decode(text) end

---Says of a table that it is a list, so that it is written as `[]` when it is empty.
---@generic T: table
---@param table? T
---@return T
function json.array(table) end

---Says of a table that it is an object, so that it is written as `{}` when it is empty.
---@generic T: table
---@param table? T
---@return T
function json.object(table) end

return json
