---@meta template

-- Jinja templates: `{{ name }}`, `{% for %}`, `{% if %}`, filters. A name without a value is an error. Values are not
-- escaped, and templates cannot include files. Names can be in any script. For names that contain blanks or dashes, write
-- `row["Full Name"]`.

---@class template
local template = {}

---A parsed template.
---@class template.compiled
local compiled = {}

---Renders a text with values.
---@param text string
---@param values? table
---@return string
function template.render(text, values) end

---Parses a text once, to render it many times.
---@param text string
---@return template.compiled
function template.compile(text) end

---Renders the template with values.
---@param values? table
---@return string
function compiled:render(values) end

return template
