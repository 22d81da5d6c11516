-- The functions of `csv` that are easier said in Lua.

local csv, open, next_row, read = ...
local find, type = string.find, type
local parse = csv.parse

-- A path never holds a line break, and a table in text with a row always does.
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
