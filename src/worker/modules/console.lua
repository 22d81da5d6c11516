-- Runs the lines of a console. Each line is a task of its own, so that it can wait and be cancelled, and shares the
-- state of the lines before.

local next_line, interrupted, spawn, show, globals = ...
local concat, getmetatable, ipairs, load, pack, pcall, setmetatable, tostring, type =
  table.concat, getmetatable, ipairs, load, table.pack, pcall, setmetatable, tostring, type
local find, print, require = string.find, print, globals.require

-- The name of a line in errors.
local NAME = "=repl"

local function is_incomplete(wrong)
  return wrong ~= nil and find(wrong, "<eof>'?$") ~= nil
end

-- Compiles a line as an expression or as statements. Returns nil and the problem if it is neither.
local function compile(text)
  local chunk, of_expression = load("return " .. text, NAME, "t", globals)
  if chunk then
    return chunk
  end
  local statements, of_statements = load(text, NAME, "t", globals)
  -- The beginning of an expression, such as `{`, is not the beginning of a statement.
  return statements, is_incomplete(of_expression) and of_expression or of_statements
end

local function sentence(value)
  if type(value) ~= "table" then
    return tostring(value)
  end
  local metatable = getmetatable(value)
  return metatable and tostring(value) or show(value)
end

-- Runs a chunk to its end or to an interrupt. Returns the problem, if there is one.
local function run(chunk)
  local handle
  -- Spawned first: the answer ends a line that only computes, which looks for it meanwhile.
  spawn(function()
    interrupted()
    handle:cancel()
  end)
  handle = spawn(chunk)
  local results = pack(pcall(handle.wait, handle))
  if not results[1] then
    return sentence(results[2])
  end
  local parts = {}
  for index = 2, results.n do
    parts[#parts + 1] = show(results[index])
  end
  if results.n > 1 then
    print(concat(parts, "\t"))
  end
end

return function(...)
  local modules = {}
  for _, name in ipairs({ ... }) do
    modules[name] = true
  end
  setmetatable(globals, {
    __index = function(_, name)
      if modules[name] then
        return require(name)
      end
    end,
  })
  local text, problem = nil, nil
  while true do
    local answer = next_line(text ~= nil, problem)
    problem = nil
    if answer == nil then
      return
    elseif answer.reset then
      text = nil
    else
      text = text and text .. "\n" .. answer.line or answer.line
      local chunk, wrong = compile(text)
      if chunk then
        text = nil
        problem = run(chunk)
      elseif not is_incomplete(wrong) then
        text, problem = nil, wrong
      end
    end
  end
end
