---@meta env

-- Environment variables that `[permissions] env` and `secrets` grant.

---@class env
local env = {}

---A handle to a secret whose value only the host knows. You can concatenate it: "Bearer " .. env.secret("KEY"). The host
---inserts the value in a header or a body of `http`. Encoding it as JSON is an error. `tostring` returns its name.
---@class env.secret
---@operator concat(string|number|env.secret): env.secret

---Returns the value of a variable, or the default if it is not set.
---@param name string
---@param default? string
---@return string?
---@overload fun(name: string, default: string): string
function env.get(name, default) end

---Returns a handle to a secret.
---@param name string
---@return env.secret
function env.secret(name) end

return env
