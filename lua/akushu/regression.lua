--- A recorded run as a regression script: Lua that repeats one side's part of it, byte for byte, with nothing but akushu.
--
--     local text = trace:script()              the sides that can be repeated, one after the other
--     local text = trace:script { side = "server" }
--
-- The script holds what the side was made of (options, certificates, the randomness that it drew, by purpose), every piece of bytes that came to it,
-- and what it must answer; whatever the other side was (an engine, one with hooks, one with mutations) it is bytes now. A script is
-- tried before it is handed over; nil, message when it does not pass or cannot be written: options that are functions, hooks on the side itself,
-- sessions that only a server's memory knows.
local show = require "akushu.show"

local regression = {}

local Cannot = { __tostring = function(self) return self.text end }

local function cannot(...) error(setmetatable({ text = (...):format(select(2, ...)) }, Cannot), 0) end

local function is_text(s) return not s:find "[^\32-\126\n]" end

-- Bytes as a Lua expression; long ones as lines of hexadecimal digits.
local function bytes_expression(s, indent)
  if s == "" then return '""' end
  if is_text(s) and #s <= 100 and not s:find "\n" then return ("%q"):format(s) end
  local digits, out = show.to_hex(s), {}
  if #digits <= 100 then return ("hex %q"):format(digits) end
  for at = 1, #digits, 100 do out[#out + 1] = indent .. "  " .. digits:sub(at, at + 99) end
  return "hex [[\n" .. table.concat(out, "\n") .. "]]"
end

local function pem_expression(pem) return "[[\n" .. pem .. "]]" end

local function sorted_names(t)
  local names = {}
  for name in pairs(t) do
    if math.type(name) ~= "integer" then names[#names + 1] = name end
  end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  return names
end

local function expression(v, what, indent)
  local kind = type(v)
  if kind == "string" then return bytes_expression(v, indent) end
  if kind == "number" or kind == "boolean" then return tostring(v) end
  if kind ~= "table" then cannot("%s is a %s, and cannot be written down", what, kind) end
  local out = {}
  for i, item in ipairs(v) do out[#out + 1] = expression(item, ("%s[%d]"):format(what, i), indent) end
  for _, name in ipairs(sorted_names(v)) do
    if type(name) ~= "string" then cannot("%s has a key that is no name", what) end
    out[#out + 1] = ("[%q] = %s"):format(name, expression(v[name], what .. "." .. name, indent))
  end
  return "{ " .. table.concat(out, ", ") .. " }"
end

local function identity_expression(lab, identity, what)
  local issued = type(identity) == "userdata" and lab.issued[identity] or type(identity) == "table" and identity.pem_key and identity
  if not issued then cannot("%s was not made by the lab, and its key cannot be written down", what) end
  return ("akushu.identity { chain = %s, key = %s }"):format(pem_expression(issued.pem_chain), pem_expression(issued.pem_key))
end

local function option(lab, name, v)
  if name == "identity" then return identity_expression(lab, v, "option 'identity'") end
  if name == "trust" and lab.made.trust and v == lab.made.trust then
    return ("akushu.trust { pem = %s }"):format(pem_expression(lab:ca():pem()))
  end
  if name == "clock" and type(v) == "function" then return nil end -- the lab's, which the script's lab has, too
  return expression(v, ("option '%s'"):format(name), "  ")
end

-- What this side drew: by purpose, in order.
local function drawn(trace, side, recipe)
  local out = {}
  local function add(purpose, bytes)
    out[purpose] = out[purpose] or {}
    table.insert(out[purpose], bytes)
  end
  for i, op in ipairs(recipe.drawn) do
    if op.op == "random" and i <= trace.drawn_before[side] then add(op.what, op.out or "") end
  end
  for _, e in ipairs(trace:all "random") do
    if e.side == side then add(e.purpose, e.bytes) end
  end
  return out
end

local head = [[
-- A regression script: the %s's side of a recorded run, step by step. It passes as it stands; run it with akushu on LUA_PATH and LUA_CPATH.
local akushu = require "akushu"
local function hex(text) return (text:gsub("%%s+", ""):gsub("%%x%%x", function(pair) return string.char(tonumber(pair, 16)) end)) end
]]

local driver = [[

local hs = assert(peer:handshake(options))
local session, over
local function step(bytes)
  if over then return "" end
  if session then
    local plain, reply = session:open(bytes)
    if plain then return reply end
    return session:pending()
  end
  local out, message, failure = hs:step(bytes)
  if not out then
    over = { message = message, failure = failure }
    return hs:pending()
  end
  if hs.done then
    session = assert(hs:session())
    local _, reply = assert(session:open "")
    out = out .. reply
  end
  return out
end
local does = { start = function() return assert(hs:start()) end, step = step,
  early = function(data) assert(hs:send_early(data)) return "" end,
  seal = function(data) return assert(session:seal(data)) end, close = function() return assert(session:close()) end }
for n, row in ipairs(steps) do
  local out = does[row[1] ](row[2])
  if out ~= row[3] then
    error(("step %d (%s): another answer than the recorded one: %s"):format(n, row[1],
      (out:gsub(".", function(c) return ("%02x"):format(c:byte()) end))), 0)
  end
end
]]

local function steps_of(trace, side)
  local out = {}
  if side == "client" and trace.early then out[1] = { what = "early", bytes = trace.early, out = "" } end
  for _, row in ipairs(trace[side].log) do out[#out + 1] = row end
  return out
end

local function has_hooks(hs)
  for _, list in pairs(hs:_values().hooks or {}) do
    if #list > 0 then return true end
  end
  return false
end

-- The script of one side; raises Cannot.
local function written(trace, side)
  local lab = trace.lab or cannot("the run was not made in a lab")
  local hs = trace[side].hs
  local recipe = lab.recipes[hs:_values().kept] or cannot("the %s was not made by the run's lab", side)
  if has_hooks(hs) then cannot("the %s has hooks, which are functions", side) end
  local out = { head:format(side) }
  local function line(...) out[#out + 1] = (...):format(select(2, ...)) end
  line("local lab = akushu.lab { clock = %d, values = {", trace.began)
  local values = drawn(trace, side, recipe)
  for _, purpose in ipairs(sorted_names(values)) do
    line("  %s = {", purpose)
    for _, bytes in ipairs(values[purpose]) do out[#out + 1] = "    " .. bytes_expression(bytes, "    ") .. "," end
    line "  },"
  end
  line "} }"
  line("local peer = lab:%s {", side)
  for _, name in ipairs(sorted_names(recipe.options)) do
    local text = option(lab, name, recipe.options[name])
    if text then out[#out + 1] = ("  %s = %s,"):format(name, text) end
  end
  line "}"
  line("local options = {%s%s }", side == "client" and (" server_name = %q,"):format(trace.server_name or "localhost") or "",
    side == "client" and trace.resumption and " session = akushu.resumption(" .. bytes_expression(trace.resumption:serialize(), "  ") .. ")" or "")
  line "local steps = {"
  for _, row in ipairs(steps_of(trace, side)) do
    out[#out + 1] = ("  { %q, %s, %s },"):format(row.what, row.bytes and bytes_expression(row.bytes, "  ") or "false", bytes_expression(row.out, "  "))
  end
  line "}"
  out[#out + 1] = driver
  local failure = trace[side].failure
  if failure and not trace[side].session then
    line("assert(over and over.failure.code == %q, \"it does not fail as it did\")", failure.code)
  elseif trace[side].session then
    line("assert(session, \"the handshake is not done\")")
    line("assert(session.suite == %q and session.version == %q)", trace[side].session.suite, trace[side].session.version)
  else
    line("assert(not over and not session, \"it does not wait as it did\")")
  end
  line("print \"%s: as recorded, %d steps\"", side, #steps_of(trace, side))
  return table.concat(out, "\n") .. "\n"
end

local function try(text, side)
  local f, message = load(text, "=(script of the " .. side .. ")", "t", setmetatable({ print = function() end }, { __index = _G }))
  if not f then return nil, message end
  local ok, why = pcall(f)
  if not ok then return nil, tostring(why) end
  return true
end

local function one(trace, side)
  local ok, text = pcall(written, trace, side)
  if not ok then
    if getmetatable(text) ~= Cannot then error(text, 0) end
    return nil, text.text
  end
  local passes, why = try(text, side)
  if not passes then return nil, ("the script of the %s does not repeat the run: %s"):format(side, why) end
  return text
end

--- trace:script(o): see above. o.side: "client" or "server"; without it: both, or the one that can be repeated. Returns the text; nil, message.
function regression.script(trace, o)
  o = o or {}
  if o.side ~= nil and o.side ~= "client" and o.side ~= "server" then error("trace:script: 'side' is \"client\" or \"server\"", 3) end
  if not trace.client or not trace.server or not trace.client.log then return nil, "the run was not made by lab:run" end
  if o.side then return one(trace, o.side) end
  local parts, why = {}, {}
  for _, side in ipairs { "client", "server" } do
    local text, message = one(trace, side)
    parts[#parts + 1] = text and "do\n" .. text .. "end\n"
    why[#why + 1] = message
  end
  if #parts == 0 then return nil, table.concat(why, "; ") end
  return table.concat(parts, "\n")
end

return regression
