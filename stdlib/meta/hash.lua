---@meta hash

-- Digests, encodings and ids.

---@class hash
local hash = {}

---SHA-256 in hex.
---@param text string
---@return string
function hash.sha256(text) end

---MD5 in hex. For checksums that ask for it, not for secrets.
---@param text string
---@return string
function hash.md5(text) end

---HMAC-SHA-256 in hex.
---@param key string
---@param text string
---@return string
function hash.hmac_sha256(key, text) end

---@param text string
---@return string
function hash.base64_encode(text) end

---Reads both alphabets, with and without `=` at the end.
---@param text string
---@return string
function hash.base64_decode(text) end

---Two digits a byte, in lower case.
---@param text string
---@return string
function hash.hex_encode(text) end

---@param text string
---@return string
function hash.hex_decode(text) end

---A version 4 UUID from `math.random`: the same seed makes the same ones. Not for secrets.
---@return string
function hash.uuid() end

return hash
