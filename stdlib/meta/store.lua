---@meta store

-- Data that outlives a run: values under keys, kept in the project's ledger. What a call has written is on the disk when
-- it returns. Each script has data of its own, known by the script's file (a library's calls are those of the script
-- that runs); `store.open(name)` opens data that all scripts share which open that name.
--
-- A value is anything with a JSON form, up to 262,144 bytes of it; a key has 1 to 256 bytes. A rehearsal writes to a copy
-- and lists the changes. At a top level that only declares, data can be read and not written; `mooncast check` sees none.

---Data of the script's own; `store.open` gives the same functions for shared data.
---@class store: store.data
local store = {}

---@class store.data
---@field get fun(key: string, default?: any): any
---@field set fun(key: string, value: any, options?: store.options)
---@field delete fun(key: string): boolean
---@field swap fun(key: string, expected: any, new: any, options?: store.options): boolean
---@field increment fun(key: string, by?: integer, options?: store.options): integer
---@field keys fun(prefix?: string): fun(): string?, any

---@class store.options
---@field ttl? number|string  how long the value lives: seconds, or a text like "90s", "12h"; for ever without one

---The value of a key, or `default` where it has none. A null that was kept is `json.null`.
---@param key string
---@param default? any
---@return any
function store.get(key, default) end

---Gives a key a value.
---@param key string
---@param value any
---@param options? store.options
function store.set(key, value, options) end

---Deletes a key; gives whether there was one.
---@param key string
---@return boolean
function store.delete(key) end

---Gives a key the value `new` if it has the value `expected` now, at once for all runs and processes; gives whether it
---did. As `expected`, nil is a key without a value; as `new`, nil deletes. Tables are compared by what is in them.
---@param key string
---@param expected any
---@param new any
---@param options? store.options
---@return boolean
function store.swap(key, expected, new, options) end

---Adds to a whole number (1 by default), at once for all runs and processes; gives what it is then. A key without a
---value begins at 0; `ttl` counts from there, and later additions leave it as it is.
---@param key string
---@param by? integer
---@param options? store.options
---@return integer
function store.increment(key, by, options) end

---An iterator over the keys that begin with `prefix` and their values, in the order of the keys.
---
---```lua
---for key, value in store.keys("seen:") do print(key, value) end
---```
---@param prefix? string
---@return fun(): string?, any
function store.keys(prefix) end

---Data under a name of its own, shared by all scripts of the project which open it.
---@param name string
---@return store.data
function store.open(name) end

return store
