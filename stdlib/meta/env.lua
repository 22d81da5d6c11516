---@meta env

-- Environment variables that `[permissions] env` and `secrets` grant.

---@class env
local env = {}

---A secret that only the host knows. With `..` it goes between texts: "Bearer " .. env.secret("KEY"). The host fills
---it in, in a header or body of `http`; as JSON it is an error, `tostring` shows its name.
---@class env.secret
---@operator concat(string|number|env.secret): env.secret

---The value of a variable, or the default when it is not set.
---@param name string
---@param default? string
---@return string?
---@overload fun(name: string, default: string): string
function env.get(name, default) end

---A handle to a secret.
---@param name string
---@return env.secret
function env.secret(name) end

return env
