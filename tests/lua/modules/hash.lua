-- flags:
local hash = require "hash"

local function fails(pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert(not ok, "it did not fail")
  assert(err.kind == "invalid", tostring(err))
  assert(tostring(err):find(pattern, 1, true), tostring(err))
end

assert(hash.sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
assert(hash.md5("abc") == "900150983cd24fb0d6963f7d28e17f72")
assert(hash.md5("") == "d41d8cd98f00b204e9800998ecf8427e")
-- RFC 4231, test case 2.
assert(hash.hmac_sha256("Jefe", "what do ya want for nothing?")
  == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
assert(hash.base64_encode("\0\xff>") == "AP8+")
assert(hash.base64_decode("AP8+") == "\0\xff>" and hash.base64_decode("AP8-") == "\0\xff>")
assert(hash.base64_encode("a") == "YQ==" and hash.base64_decode("YQ") == "a" and hash.base64_decode("YQ==\n") == "a")
assert(hash.base64_decode("") == "")
assert(hash.hex_encode("\0\xab") == "00ab" and hash.hex_decode("00AB") == "\0\xab")
fails("base64", hash.base64_decode, "a")
fails("base64", hash.base64_decode, "!!!!")
fails("hex", hash.hex_decode, "0g")
fails("expected a string", hash.sha256)
fails("expected a string", hash.sha256, {})

local id = hash.uuid()
assert(#id == 36 and id:match("^%x+%-%x+%-4%x%x%x%-[89ab]%x%x%x%-%x+$") and id ~= hash.uuid())
math.randomseed(7)
local first = hash.uuid()
math.randomseed(7)
assert(first == hash.uuid())
