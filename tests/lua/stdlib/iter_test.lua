-- Iterators: from lists, from iterators, with several values, and with several tasks.

local iter = require("iter")
local task = require("task")

local function same(source, ...)
  local items, expected = iter.collect(source), { ... }
  local text = table.concat(items, " ")
  assert(text == table.concat(expected, " "), text)
end

local function numbers(last)
  local number = 0
  return function()
    if number < last then
      number = number + 1
      return number
    end
  end
end

same({}, nil)
same(numbers(3), 1, 2, 3)
same(iter.map(numbers(4), function(n) return n % 2 == 0 and n * 10 or nil end), 20, 40)
same(iter.filter({ 5, 6, 7 }, function(n) return n ~= 6 end), 5, 7)
same(iter.filter(numbers(100000), function(n) return n == 100000 end), 100000)
same(iter.take(numbers(10), 2), 1, 2)
same(iter.take({ 1 }, 5), 1)
same(iter.take({ 1 }, 0), nil)
same(iter.chain({ 1, 2 }, {}, numbers(2), { 9 }), 1, 2, 1, 2, 9)
same(iter.chain(), nil)
assert(iter.count(numbers(7)) == 7 and iter.count({}) == 0)

local sizes = {}
for batch in iter.batch(numbers(7), 3) do
  sizes[#sizes + 1] = #batch
end
assert(table.concat(sizes, " ") == "3 3 1")
assert(iter.count(iter.batch({}, 3)) == 0)
assert(iter.count(iter.batch(numbers(6), 3)) == 2)

-- The three values of a `for`, and items of several values.
local pair = iter.map(iter.from(pairs({ key = "value" })), function(key, value) return key .. "=" .. value end)
same(pair, "key=value")
local roles = iter.filter(im.members("184524748161025"), function(_, role) return role == "owner" end)
local owner, role = roles()
assert(owner and role == "owner" and roles() == nil)

-- Lazily: what is not asked for is not made.
local made = 0
local lazy = iter.map(numbers(1000), function(n) made = made + 1 return n end)
same(iter.take(lazy, 3), 1, 2, 3)
assert(made == 3, made)

-- Several at once, each item once, never more than allowed at a time; the iterator itself may wait.
local function slow(last)
  local next_number = numbers(last)
  return function()
    task.sleep(0.001)
    return next_number()
  end
end
local seen, running, most = {}, 0, 0
local count = iter.each(slow(30), function(n)
  running = running + 1
  most = math.max(most, running)
  task.sleep(0.002)
  running = running - 1
  seen[n] = (seen[n] or 0) + 1
end, { concurrency = 4 })
assert(count == 30 and #seen == 30 and most > 1 and most <= 4, most)
for n = 1, 30 do
  assert(seen[n] == 1, n)
end
assert(iter.each(numbers(3), function() end) == 3)
assert(iter.each({}, error, { concurrency = 5 }) == 0)

-- An error ends it: nothing further is begun, and it is raised.
for _, concurrency in ipairs({ 1, 3 }) do
  local begun = 0
  local ok, problem = pcall(iter.each, numbers(1000), function(n)
    begun = begun + 1
    task.sleep(0.001)
    if n == 5 then
      error("item five", 0)
    end
  end, { concurrency = concurrency })
  assert(not ok and problem == "item five", tostring(problem))
  assert(begun < 12, begun)
end
local ok, problem = pcall(iter.each, function() error("no list", 0) end, print, { concurrency = 3 })
assert(not ok and problem == "no list")

for _, wrong in ipairs({
  function() iter.from(7) end,
  function() iter.batch({}, 0) end,
  function() iter.each({}, print, { concurrency = 0 }) end,
}) do
  assert(not pcall(wrong))
end
