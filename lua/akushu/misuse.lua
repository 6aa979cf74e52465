--- What is called wrongly is told at the line of who called, with the argument's name and what it should have been: the checks that the laboratory's files share.
-- level is that of error() for the function that calls the check: 2 (the default) is its caller.
local meant = require "akushu.meant"

local misuse = {}

--- What a value is, for a message: a userdata's class, else its type.
function misuse.kind(value)
  local mt = type(value) == "userdata" and getmetatable(value)
  return type(mt) == "table" and mt.__name or type(value)
end

-- Whether a value is of this kind: a type's name, "integer", "callable", or the class of a userdata.
local function is(value, kind)
  if kind == "integer" then return math.type(value) == "integer" end
  if kind == "callable" then
    local mt = getmetatable(value)
    return type(value) == "function" or type(mt) == "table" and mt.__call ~= nil
  end
  return misuse.kind(value) == kind
end

--- Raises "<what>: <wanted> expected, got <what it is>".
function misuse.expected(what, wanted, value, level)
  error(("%s: %s expected, got %s"):format(what, wanted, type(value) == "number" and tostring(value) or misuse.kind(value)), (level or 2) + 1)
end

--- A value that must be of one kind (a type, "integer", "callable", a class); wanted: how that is called in words. Returns the value.
function misuse.want(what, kind, wanted, value, level)
  if not is(value, kind) then misuse.expected(what, wanted, value, (level or 2) + 1) end
  return value
end

--- A seed: a string, or a whole number, which stands for its digits. Returns the string.
function misuse.seed(what, value, level)
  if type(value) == "string" or value == nil then return value end
  local whole = math.type(value) and math.tointeger(value)
  if not whole then misuse.expected(what, "a string or a whole number", value, (level or 2) + 1) end
  return ("%d"):format(whole)
end

--- Options: a table (nil: an empty one) in which known (name → true, or a kind and how it is called in words) has every name. Returns it.
function misuse.options(what, known, o, level)
  level = (level or 2) + 1
  if o == nil then return {} end
  if type(o) ~= "table" then misuse.expected(what, "a table of options", o, level) end
  for name, value in pairs(o) do
    local row = known[name]
    if not row then error(("%s: unknown option '%s'%s"):format(what, tostring(name), meant(name, known)), level) end
    if row ~= true and not is(value, row[1]) then misuse.expected(("%s: option '%s'"):format(what, name), row[2], value, level) end
  end
  return o
end

local function at_caller(level, ok, ...)
  if not ok then error((...), level + 1) end
  return ...
end

--- Calls fn; what it raises is raised again as a mistake of the caller: level 2 is who called the function that calls this, as for error.
function misuse.blame(level, fn, ...) return at_caller(level, pcall(fn, ...)) end

local function at_caller_alone(level, ok, ...)
  if ok then return ... end
  local message = ...
  -- "attempt to …" is no mistake of the caller's, and its position is all that is known of it.
  if type(message) == "string" and not message:find(": attempt to ", 1, true) then message = message:gsub("^[^\n:]*akushu/[%w_]+%.lua:%d+: ", "") end
  error(message, level + 1)
end

--- The same for functions that are there for users, too, and have blamed the file that called them.
function misuse.blame_through(level, fn, ...) return at_caller_alone(level, pcall(fn, ...)) end

local function at_a_user_line(level, ok, ...)
  if ok then return ... end
  local message = ...
  if type(message) ~= "string" or message:find(": attempt to ", 1, true) then error(message, 0) end
  local said, ours = message:gsub("^[^\n:]*akushu/[%w_]+%.lua:%d+: ", "")
  local told = ours == 0 and message:find "^[^\n:]+:%d+: "
  error(said, told and 0 or level + 1)
end

--- The same for functions that call those of users: what was raised at a line of theirs stays there; what has none, or one of akushu's own, is told at the caller's.
function misuse.blame_unless_told(level, fn, ...) return at_a_user_line(level, pcall(fn, ...)) end

return misuse
