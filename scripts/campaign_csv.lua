-- A small campaign: one message for each row of groups.csv, written from a template with that row's fields. A group
-- that fails is noted and the others go on.

local csv = require("csv")
local template = require("template")

local greeting = "Hello {{ name }}! The summer meeting in {{ city }} is on 21 June. Will you come?"

local failed = 0
for _, row in ipairs(csv.read("scripts/groups.csv")) do
  local ok, problem = pcall(im.group_send, {
    to = row.group_id,
    type = "txt",
    body = { msg = template.render(greeting, row) },
  })
  if ok then
    print("sent to " .. row.name)
  else
    failed = failed + 1
    print("not sent to " .. row.name .. ": " .. tostring(problem))
  end
end
print(failed == 0 and "All sent." or failed .. " groups did not get it.")
