-- The functions of `fs` that are simpler in Lua.

local fs = ...
local find, sub = string.find, string.sub
local read, info = fs.read, fs.info

function fs.exists(path)
  return info(path) ~= nil
end

function fs.lines(path)
  local text, at = read(path), 1
  return function()
    if at > #text then
      return nil
    end
    local stop = find(text, "\n", at, true) or #text + 1
    local line = sub(text, at, stop - 1)
    at = stop + 1
    if sub(line, -1) == "\r" then
      line = sub(line, 1, -2)
    end
    return line
  end
end

return fs
