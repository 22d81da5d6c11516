---@meta fs

-- Files of the project, and others that `[permissions] read` and `write` grant. Paths are relative to the project.
-- Without a grant, scripts can write only to the project's folder `data`, which the first write creates. No grant gives access
-- to mooncast.toml, .mooncast, .git and .env files, and none allows writing to scripts and modules.

---@class fs
local fs = {}

---Information about a file or folder.
---@class fs.info
---@field type "file"|"folder"|"other"
---@field size integer  bytes
---@field modified integer  seconds since 1970, UTC

---Returns the content of a file, up to 16 MiB.
---@param path string
---@return string
function fs.read(path) end

---Returns an iterator over the lines of a file, without line breaks.
---@param path string
---@return fun(): string?
function fs.lines(path) end

---Replaces the content of a file atomically: a reader sees either the old content or the new one.
---@param path string
---@param text string
function fs.write(path, text) end

---Appends to a file, and creates it if it does not exist.
---@param path string
---@param text string
function fs.append(path, text) end

---Returns whether a path exists.
---@param path string
---@return boolean
function fs.exists(path) end

---Returns information about a path, or nil if it does not exist.
---@param path string
---@return fs.info?
function fs.info(path) end

---Returns the names in a folder, sorted.
---@param path string
---@return string[]
function fs.list(path) end

---Creates a folder and its parents. Does nothing if the folder exists.
---@param path string
function fs.mkdir(path) end

---Removes a file or an empty folder.
---@param path string
function fs.remove(path) end

return fs
