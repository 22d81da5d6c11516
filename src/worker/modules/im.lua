-- The functions of one app that are simpler in Lua.

local im, ask_check, ask_groups, ask_members, ask_recall, limits = ...

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

function im.check(message)
  local ok, problems = pcall(ask_check, message)
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

function im.recall(receipts, options)
  return ask_recall(receipts, options)
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
