---@meta template

-- Texts with places to fill in, in the language of Jinja: `{{ name }}`, `{% for %}`, `{% if %}`, filters. A name that is
-- not given is an error; nothing is escaped, nothing is included from elsewhere. Names can be in any script; `row["Full Name"]`
-- reaches those with blanks or dashes.

---@class template
local template = {}

---A template that is ready to be filled in.
---@class template.compiled
local compiled = {}

---Fills in a text.
---@param text string
---@param values? table
---@return string
function template.render(text, values) end

---Reads a text once, to fill it in many times.
---@param text string
---@return template.compiled
function template.compile(text) end

---Fills it in.
---@param values? table
---@return string
function compiled:render(values) end

return template
