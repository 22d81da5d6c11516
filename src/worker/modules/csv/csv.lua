-- The functions of `csv` that are simpler in Lua.

local csv, open, next_row, read = ...
local find, type = string.find, type
local parse = csv.parse

-- Reads `source` as a file if it is a path. A path never contains a line break, and a table with a row always does.
local function content(source)
  if type(source) == "string" and not find(source, "[\r\n]") then
    return read(source)
  end
  return source
end

function csv.rows(source, options)
  local rows = open(content(source), options)
  return function()
    return next_row(rows)
  end
end

function csv.read(path, options)
  return parse(read(path), options)
end

return csv
