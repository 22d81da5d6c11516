-- Edits the messages of a broadcast for `mooncast runs edit`.

local app, name, run, from, kind, text, file = table.unpack(arg, 1, 7)
local change

if kind == "text" then
  change = { body = { msg = text } }
elseif kind == "template" then
  local template = require("template").compile(text)
  change = function(recipient, message)
    local values = { message = message }
    for field, value in pairs(recipient) do
      values[field] = value
    end
    return { body = { msg = template:render(values) } }
  end
else
  local chunk, problem = load(text, "@" .. file, "t")
  local make = assert(chunk, problem)()
  if type(make) ~= "function" then
    error(file .. ": the file must return a function that gets a recipient and its message, and returns the new text, a table with `body`, `ext` or both, or nil")
  end
  change = function(recipient, message)
    local made = make(recipient, message)
    if type(made) == "string" then
      return { body = { msg = made } }
    end
    return made
  end
end

local report = im.app(app).edit({ broadcast = name, run = run }, change, { from = from ~= "" and from or nil })
if report.total == report.skipped then
  error(("no message of %s/%s is edited"):format(name, run), 0)
end
