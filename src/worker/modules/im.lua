-- The functions of one app that are simpler in Lua.

local im, limits, ask_check, ask_groups, ask_members, ask_group, ask_recall, ask_edit, edit_broadcast, ask_announce,
  most_details = ...

-- Returns an iterator over the items of pages. `fetch` returns the page that follows a cursor, which is nil at first.
local function items_of(fetch)
  local items, index, next, over = {}, 0, nil, false
  return function()
    while index >= #items do
      if over then
        return nil
      end
      local page = fetch(next)
      items, index, next = page.items, 0, page.next
      over = next == nil
    end
    index = index + 1
    return items[index]
  end
end

function im.check(message, kind)
  local ok, problems = pcall(ask_check, message, kind)
  if not ok then
    if type(problems) == "table" and problems.kind == "invalid" then
      return nil, problems.problems or { { field = problems.field, message = problems.message } }
    end
    error(problems, 0)
  end
  return true
end

function im.groups()
  return items_of(ask_groups)
end

function im.members(group_id)
  if math.type(group_id) == "integer" then
    group_id = tostring(group_id)
  end
  local next_member = items_of(function(page)
    return ask_members(group_id, page or 1)
  end)
  return function()
    local member = next_member()
    if member then
      return member.user_id, member.role
    end
  end
end

function im.group(ids)
  if type(ids) ~= "table" then
    return ask_group(ids)[1]
  end
  local found = {}
  for first = 1, #ids, most_details do
    local some = table.move(ids, first, math.min(first + most_details - 1, #ids), 1, {})
    for _, group in ipairs(ask_group(some)) do
      found[group.group_id] = group
    end
  end
  return found
end

function im.announce(message, options)
  local _, id = next(ask_announce(message, options))
  return id
end

function im.recall(receipts, options)
  return ask_recall(receipts, options)
end

function im.edit(sent, change, options)
  if type(sent) == "table" and sent.broadcast ~= nil then
    return edit_broadcast(sent, change, options)
  end
  return ask_edit(sent, change, options)
end

im.limits = setmetatable({}, {
  __name = "im.limits",
  __metatable = "im.limits",
  __index = limits,
  __newindex = function()
    error("im.limits is read-only; limits are set in mooncast.toml, under [app.limits]", 2)
  end,
  __pairs = function()
    return next, limits, nil
  end,
})

return im
