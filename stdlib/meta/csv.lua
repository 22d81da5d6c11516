---@meta csv

-- Tables as text (CSV). Every field is a string. The encoding (UTF-8, UTF-16, GB18030) and the separator (comma, semicolon,
-- tab) are recognised; what can be read in two ways is refused with its line. Rows without any text are passed over.

---@class csv
local csv = {}

---How a text is laid out.
---@class csv.layout
---@field header? boolean  whether the first row holds the names of the columns; true by default
---@field separator? string  one character; recognised where it is left out
---@field encoding? string  such as "gb18030"; recognised where it is left out

---How rows are written.
---@class csv.encode_options
---@field header? boolean  whether the first row holds the names of the columns; true by default
---@field separator? string  one character; "," by default
---@field columns? string[]  the columns, in this order; all names there are, sorted, by default

---A row: by the names of the header, or a list where there is none.
---@alias csv.row table<string, string>|string[]

---The rows of a text. A bad one is an error that names its line.
---@param text string
---@param options? csv.layout
---@return csv.row[]
function csv.parse(text, options) end

---The rows of a file.
---@param path string  relative to the project
---@param options? csv.layout
---@return csv.row[]
function csv.read(path, options) end

---An iterator over the rows of a file, or of a text with a line break in it.
---@param source string  a path or a text
---@param options? csv.layout
---@return fun(): csv.row?
function csv.rows(source, options) end

---Rows as text: tables by the names of the columns, or lists.
---@param rows table[]
---@param options? csv.encode_options
---@return string
function csv.encode(rows, options) end

return csv
