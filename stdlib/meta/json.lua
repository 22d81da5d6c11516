---@meta json

-- JSON texts and Lua values.

---@class json
local json = {}

---The null of JSON. `encode` omits a field that is nil, and writes a field that is `json.null` as null.
---@type lightuserdata
json.null = nil

---Returns a value as JSON, with the fields in the order of their names.
---@param value any
---@param options? { pretty?: boolean }
---@return string
function json.encode(value, options) end

---Returns the value of a JSON text. A number that Lua cannot represent exactly becomes a string with every digit: an integer
---beyond 2^63, or a decimal number with more digits than a double has.
---@param text string
---@return any
function json.decode(text) end

---Marks a table as a list, so that `encode` writes `[]` if it is empty.
---@generic T: table
---@param table? T
---@return T
function json.array(table) end

---Marks a table as an object, so that `encode` writes `{}` if it is empty.
---@generic T: table
---@param table? T
---@return T
function json.object(table) end

return json
