---@meta csv

-- CSV files and texts. Every field is a string. The module detects the encoding (UTF-8, UTF-16, GB18030) and the separator
-- (comma, semicolon, tab). It refuses input that can be read in two ways, and names the line. It skips rows without text.

---@class csv
local csv = {}

---The layout of a text.
---@class csv.layout
---@field header? boolean  whether the first row contains the column names; true by default
---@field separator? string  one character; detected by default
---@field encoding? string  such as "gb18030"; detected by default

---Options for writing rows.
---@class csv.encode_options
---@field header? boolean  whether the first row contains the column names; true by default
---@field separator? string  one character; "," by default
---@field columns? string[]  the columns, in this order; by default all names, sorted

---A row: a table by column name, or a list if there is no header.
---@alias csv.row table<string, string>|string[]

---Returns the rows of a text. An invalid row is an error that names its line.
---@param text string
---@param options? csv.layout
---@return csv.row[]
function csv.parse(text, options) end

---Returns the rows of a file.
---@param path string  relative to the project
---@param options? csv.layout
---@return csv.row[]
function csv.read(path, options) end

---Returns an iterator over the rows of a file, or of a text that contains a line break.
---@param source string  a path or a text
---@param options? csv.layout
---@return fun(): csv.row?
function csv.rows(source, options) end

---Returns rows as text. A row is a table by column name, or a list.
---@param rows table[]
---@param options? csv.encode_options
---@return string
function csv.encode(rows, options) end

return csv
