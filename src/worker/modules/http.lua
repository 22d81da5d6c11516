-- The functions of `http`, and the methods of their responses.

local get, post, request, decode = ...
local lower, rawget, setmetatable, type = string.lower, rawget, setmetatable, type

-- Header names are looked up in any case.
local header_metatable = {
  __index = function(headers, name)
    return type(name) == "string" and rawget(headers, lower(name)) or nil
  end,
}

local function response_of(answer)
  setmetatable(answer.headers, header_metatable)
  answer.ok = answer.status >= 200 and answer.status < 300
  function answer.json()
    return decode(answer.body)
  end
  return answer
end

return {
  get = function(url, options)
    return response_of(get(url, options))
  end,
  post = function(url, body, options)
    return response_of(post(url, body, options))
  end,
  request = function(options)
    return response_of(request(options))
  end,
}
