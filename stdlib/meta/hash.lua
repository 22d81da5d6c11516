---@meta hash

-- Digests, encodings and ids.

---@class hash
local hash = {}

---Returns the SHA-256 in hexadecimal.
---@param text string
---@return string
function hash.sha256(text) end

---Returns the MD5 in hexadecimal. Use it only for checksums that require MD5; it does not protect secrets.
---@param text string
---@return string
function hash.md5(text) end

---Returns the HMAC-SHA-256 in hexadecimal.
---@param key string
---@param text string
---@return string
function hash.hmac_sha256(key, text) end

---@param text string
---@return string
function hash.base64_encode(text) end

---Decodes both alphabets, with and without `=` at the end.
---@param text string
---@return string
function hash.base64_decode(text) end

---Returns two lower-case digits for each byte.
---@param text string
---@return string
function hash.hex_encode(text) end

---@param text string
---@return string
function hash.hex_decode(text) end

---Returns a version 4 UUID from `math.random`: the same seed gives the same UUIDs. Do not use it as a secret.
---@return string
function hash.uuid() end

return hash
