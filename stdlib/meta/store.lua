---@meta store

-- A key-value store that keeps data between runs, in the project's ledger. When a call returns, its data is on the disk.
-- Each script file has its own data; a library uses the data of the script that runs. `store.open(name)` opens data that
-- all scripts share.
--
-- A value is anything that JSON can represent, up to 262,144 bytes as JSON. A key has 1 to 256 bytes. A rehearsal writes to
-- a copy and lists the changes. While `mooncast serve` loads a script, its top level can read data but not write it. In
-- `mooncast check`, the store is empty.

---The script's own data. `store.open` returns the same functions for shared data.
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
---@field ttl? number|string  after this time the value expires: seconds, or a text like "90s", "12h"; never by default

---Returns the value of a key, or `default` if it has none. A stored null is `json.null`.
---@param key string
---@param default? any
---@return any
function store.get(key, default) end

---Sets the value of a key.
---@param key string
---@param value any
---@param options? store.options
function store.set(key, value, options) end

---Deletes a key. Returns whether the key existed.
---@param key string
---@return boolean
function store.delete(key) end

---Sets a key to `new` if its value is `expected`, atomically for all runs and processes. Returns whether it set the key.
---If `expected` is nil, the key must have no value. If `new` is nil, it deletes the key. It compares tables by content.
---@param key string
---@param expected any
---@param new any
---@param options? store.options
---@return boolean
function store.swap(key, expected, new, options) end

---Adds `by` (1 by default) to an integer, atomically for all runs and processes. Returns the new value. A key without a
---value starts at 0. `ttl` counts from the first call; later calls do not extend it.
---@param key string
---@param by? integer
---@param options? store.options
---@return integer
function store.increment(key, by, options) end

---Returns an iterator over the keys that begin with `prefix` and their values, in the order of the keys.
---
---```lua
---for key, value in store.keys("seen:") do print(key, value) end
---```
---@param prefix? string
---@return fun(): string?, any
function store.keys(prefix) end

---Opens the data of a name, which all scripts of the project share.
---@param name string
---@return store.data
function store.open(name) end

return store
