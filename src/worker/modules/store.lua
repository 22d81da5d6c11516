-- The functions of `store` that are simpler in Lua: defaults, and iteration over pages.

local get, set, delete, swap, increment, page_of, name_of = ...

local function open(space)
  local store = {}

  function store.get(key, default)
    local value = get(space, key)[1]
    if value == nil then
      return default
    end
    return value
  end

  function store.set(key, value, options)
    set(space, key, value, options)
  end

  function store.delete(key)
    return delete(space, key)
  end

  function store.swap(key, expected, new, options)
    return swap(space, key, expected, new, options)
  end

  function store.increment(key, by, options)
    return increment(space, key, by, options)
  end

  function store.keys(prefix)
    local page, at = page_of(space, prefix, nil), 0
    return function()
      at = at + 1
      while at > #page.items and page.next do
        page, at = page_of(space, prefix, page.next), 1
      end
      local entry = page.items[at]
      if entry then
        return entry[1], entry[2]
      end
    end
  end

  return store
end

local store = open(nil)

function store.open(name)
  return open(name_of(name))
end

return store
