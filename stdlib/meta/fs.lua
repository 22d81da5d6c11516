---@meta fs

-- Files of the project, and others that `[permissions] read` and `write` grant. Paths are relative to the project.
-- Without a grant, scripts write in the project's folder `data` alone, which is made when something is written there.
-- Out of reach, whatever is granted: mooncast.toml, .mooncast, .git, .env files; for writing also what is run as a script.

---@class fs
local fs = {}

---What a path leads to.
---@class fs.info
---@field type "file"|"folder"|"other"
---@field size integer  bytes
---@field modified integer  seconds since 1970, UTC

---The content of a file, up to 16 MiB.
---@param path string
---@return string
function fs.read(path) end

---An iterator over the lines of a file, without their ends.
---@param path string
---@return fun(): string?
function fs.lines(path) end

---Puts a file's content: a reader sees the old one or the new one, never a part.
---@param path string
---@param text string
function fs.write(path, text) end

---Adds to the end of a file; makes it where it is not there.
---@param path string
---@param text string
function fs.append(path, text) end

---Whether something is there.
---@param path string
---@return boolean
function fs.exists(path) end

---What is there; nil when nothing is.
---@param path string
---@return fs.info?
function fs.info(path) end

---The names in a folder, sorted.
---@param path string
---@return string[]
function fs.list(path) end

---Makes a folder and those above it; one that is there is left as it is.
---@param path string
function fs.mkdir(path) end

---Removes a file or an empty folder.
---@param path string
function fs.remove(path) end

return fs
