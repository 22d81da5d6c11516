-- Shows values: tables with their content, in Lua syntax. Cycles, depth and length are limited, so any value can be
-- shown.

local null = ...
local getmetatable, next, pairs, pcall, rawget, tostring, type =
  getmetatable, next, pairs, pcall, rawget, tostring, type
local math_type, byte, find, format, gsub, rep, sub =
  math.type, string.byte, string.find, string.format, string.gsub, string.rep, string.sub
local concat, sort = table.concat, table.sort

-- The deepest nesting of tables. Deeper ones are shown as `{…}`.
local MAX_DEPTH = 8
-- The most bytes of one value.
local MAX_BYTES = 16384
-- A table that is at most this many bytes long is shown on one line.
local WIDTH = 78

local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\" }

local function escape(letter)
  return ESCAPES[letter] or format("\\x%02X", byte(letter))
end

local function quoted(text)
  local shown = #text > MAX_BYTES and sub(text, 1, MAX_BYTES) or text
  return '"' .. gsub(shown, '[%c\127"\\]', escape) .. (shown == text and '"' or '"…')
end

local KEYWORDS = {}
for word in
  ("and break do else elseif end false for function goto if in local nil not or repeat return then true until while"):gmatch("%a+")
do
  KEYWORDS[word] = true
end

local RANKS = { number = 1, string = 2, boolean = 3 }

-- Orders numbers first, then names, each in ascending order.
local function before(left, right)
  local left_type, right_type = type(left), type(right)
  local left_rank, right_rank = RANKS[left_type] or 4, RANKS[right_type] or 4
  if left_rank ~= right_rank then
    return left_rank < right_rank
  elseif left_rank <= 2 then
    return left < right
  end
  return tostring(left) < tostring(right)
end

-- Returns the table whose fields are shown: the value, or a copy of the fields that its `__pairs` gives.
local function fields_of(value)
  local metatable = getmetatable(value)
  if metatable == nil or type(metatable) == "table" and rawget(metatable, "__pairs") == nil then
    return value
  end
  local fields = {}
  local read = pcall(function()
    for key, item in pairs(value) do
      fields[key] = item
    end
  end)
  return read and fields or value
end

local function own_text(value)
  local metatable = getmetatable(value)
  local is_own = type(metatable) == "string" or type(metatable) == "table" and rawget(metatable, "__tostring") ~= nil
  if not is_own then
    return nil
  end
  local ok, text = pcall(tostring, value)
  if not ok then
    return "(a table whose __tostring fails)"
  end
  -- The fields are more useful than `name: 0x…`.
  return not find(text, ": 0x%x+$") and text or nil
end

local show

local function table_text(value, state, depth)
  if state.open[value] then
    return "{…}"
  end
  local text = own_text(value)
  if text then
    return text
  elseif depth > MAX_DEPTH then
    return "{…}"
  end
  state.open[value] = true
  local fields = fields_of(value)
  local parts, keys = {}, {}
  local length = 0
  while rawget(fields, length + 1) ~= nil do
    length = length + 1
  end
  for key in next, fields do
    local listed = math_type(key) == "integer" and key >= 1 and key <= length
    if not listed then
      keys[#keys + 1] = key
    end
  end
  sort(keys, before)
  local left = length + #keys
  local function add(part)
    parts[#parts + 1] = part
    state.bytes = state.bytes + #part + 2
    left = left - 1
  end
  for index = 1, length do
    if state.bytes > MAX_BYTES then
      break
    end
    add(show(rawget(fields, index), state, depth + 1))
  end
  for _, key in next, keys do
    if state.bytes > MAX_BYTES then
      break
    end
    local name = type(key) == "string" and find(key, "^[%a_][%w_]*$") and not KEYWORDS[key] and key
      or "[" .. show(key, state, MAX_DEPTH + 1) .. "]"
    add(name .. " = " .. show(rawget(fields, key), state, depth + 1))
  end
  if left > 0 then
    parts[#parts + 1] = "… " .. left .. " more"
  end
  state.open[value] = nil
  if #parts == 0 then
    return "{}"
  end
  local line = "{ " .. concat(parts, ", ") .. " }"
  if #line + 2 * (depth - 1) <= WIDTH and not find(line, "\n", 1, true) then
    return line
  end
  local indent = rep("  ", depth)
  return "{\n" .. indent .. concat(parts, ",\n" .. indent) .. ",\n" .. rep("  ", depth - 1) .. "}"
end

function show(value, state, depth)
  local kind = type(value)
  if kind == "string" then
    local text = quoted(value)
    return text
  elseif kind == "table" then
    return table_text(value, state, depth)
  elseif value == null then
    return "json.null"
  end
  local ok, text = pcall(tostring, value)
  return ok and text or "(a " .. kind .. " whose __tostring fails)"
end

-- Returns the value in Lua syntax.
return function(value)
  return show(value, { open = {}, bytes = 0 }, 1)
end
