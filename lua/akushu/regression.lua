--- A recorded run as a regression script: Lua that repeats one side's part of it, byte for byte, with nothing but akushu.
--
--     local text = trace:script()              the sides that can be repeated, one after the other
--     local text = trace:script { side = "server" }
--
-- The script holds what the side was made of (options, certificates, the randomness that it drew, by purpose), every piece of bytes that came to it,
-- and what it must answer; whatever the other side was (an engine, one with hooks, one with mutations) it is bytes now. Of functions it holds what they have
-- said: hooks become the verdicts of the run (what was replaced, dropped, put beside, failed, raised), options such as on_untrusted, alpn, on_psk or a store
-- their recorded answers, and a server's own memory what it remembered. A script is tried before it is handed over; nil, message when it does not pass, or when something
-- cannot be written: an object that has no text.
local core = require "akushu.core"
local show = require "akushu.show"
local misuse = require "akushu.misuse"

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

-- What stands around PEM is anybody's text: it must not end the string.
local function pem_expression(pem) return pem:find("]", 1, true) and ("%q"):format(pem) or "[[\n" .. pem .. "]]" end

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
  if kind == "userdata" and (getmetatable(v) or {}).__name == "akushu.Secret" then return bytes_expression(v:reveal(), indent) end
  if kind == "string" then return bytes_expression(v, indent) end
  if kind == "number" or kind == "boolean" then return ("%q"):format(v) end
  if kind ~= "table" then cannot("%s is a %s, and cannot be written down", what, kind) end
  local out = {}
  for i, item in ipairs(v) do out[#out + 1] = expression(item, ("%s[%d]"):format(what, i), indent) end
  for _, name in ipairs(sorted_names(v)) do
    if type(name) ~= "string" then cannot("%s has a key that is no name", what) end
    out[#out + 1] = ("[%q] = %s"):format(name, expression(v[name], what .. "." .. name, indent))
  end
  return "{ " .. table.concat(out, ", ") .. " }"
end

local function class_of(v) return type(v) == "userdata" and (getmetatable(v) or {}).__name or nil end

-- A chain or key as akushu.identity takes it: a string stays what it is (a file's name, PEM), an object becomes PEM.
local function pem_of(v, what)
  if type(v) == "string" then return v:find "\n" and pem_expression(v) or ("%q"):format(v) end
  if class_of(v) == "akushu.PrivateKey" then return pem_expression(v:reveal "pem") end
  local out = {}
  for i, c in ipairs(type(v) == "table" and v or { v }) do
    if class_of(c) ~= "akushu.Certificate" then cannot("%s holds a %s, and cannot be written down", what, type(c)) end
    out[i] = c.pem
  end
  return pem_expression(table.concat(out))
end

local function identity_expression(v, what)
  if type(v) == "table" and v.identity then v = v.identity end
  if class_of(v) == "akushu.Identity" then
    v = { chain = v.chain, key = v.key, ocsp = v.ocsp, scts = v.scts }
  end
  if type(v) ~= "table" or v.chain == nil then cannot("%s is none that can be written down", what) end
  local out = { "chain = " .. pem_of(v.chain, what) }
  if v.key ~= nil then out[#out + 1] = "key = " .. pem_of(v.key, what) end
  for _, name in ipairs { "password", "ocsp", "scts" } do
    if v[name] ~= nil then out[#out + 1] = ("%s = %s"):format(name, expression(v[name], what .. "." .. name, "  ")) end
  end
  return "akushu.identity { " .. table.concat(out, ", ") .. " }"
end

local function pems(certificates)
  local out = {}
  for i, c in ipairs(certificates) do out[i] = c.pem end
  return table.concat(out)
end

-- A trust store as it is at the end of the run.
local function trust_expression(v)
  if class_of(v) ~= "akushu.TrustStore" then return expression(v, "option 'trust'", "  ") end
  local out = { ("partial_chain = %s, strict = %s, revocation = %q"):format(v.partial_chain, v.strict, v.revocation) }
  if #v > 0 then table.insert(out, 1, "pem = " .. pem_expression(pems(v.certificates))) end
  if #v.crls > 0 then out[#out + 1] = "crls = " .. expression(v.crls, "option 'trust'", "  ") end
  local distrusted = pems(v.distrusted.server)
  if distrusted ~= pems(v.distrusted.client) then cannot "option 'trust': who is distrusted for one use alone cannot be written down" end
  if distrusted ~= "" then out[#out + 1] = "distrusted = " .. pem_expression(distrusted) end
  if v.policies then out[#out + 1] = "policies = " .. expression(v.policies, "option 'trust'", "  ") end
  for _, name in ipairs { "require_policy", "inhibit_mapping", "inhibit_any_policy" } do
    if v[name] then out[#out + 1] = name .. " = true" end
  end
  return "akushu.trust { " .. table.concat(out, ", ") .. " }"
end

-- ---- what functions and hooks have said ----------------------------------------------------------------------------------------

local function alert_expression(number) return number and (core.alert_name(number) and ("%q"):format(core.alert_name(number)) or tostring(number)) or "nil" end

-- A question's answer as what the function has returned: a Lua table { first, second }.
local function returned(entry, what)
  local said = entry.said or {}
  if said.raised ~= nil then return ("{ raise = %q }"):format(tostring(said.raised)) end
  if entry.name == "alpn" then
    if said.verdict == "refuse" then return '{ "" }' end
    if said.yes == false then return "{ false }" end
    return said.bytes and "{ " .. bytes_expression(said.bytes, "  ") .. " }" or "{}"
  end
  if said.verdict == "refuse" then return ("{ false, %s }"):format(alert_expression(said.alert)) end
  if entry.name == "identity" then return said.identity and "{ " .. identity_expression(said.identity, what) .. " }" or "{}" end
  if entry.name == "untrusted" and said.remember then return '{ "remember" }' end
  if said.yes ~= nil then return said.yes and "{ true }" or "{ false }" end
  return said.bytes and "{ " .. bytes_expression(said.bytes, "  ") .. " }" or "{}"
end

local function answers(trace, side, question, what)
  local out = {}
  for _, e in ipairs(trace:all("question", question, side)) do out[#out + 1] = returned(e, what) end
  return "said { " .. table.concat(out, ", ") .. " }"
end

-- Options that are functions: which question they answer.
local asked = { on_untrusted = "untrusted", on_identity = "identity", on_ocsp = "ocsp", on_psk = "psk", on_early_data = "early_data", alpn = "alpn" }

local function clock_expression(trace, side, v)
  if type(v) == "number" then return tostring(v) end
  local out, still = {}, true
  for i, now in ipairs(trace.ticks[side]) do
    out[i] = ("%q"):format(now)
    still = still and now == trace.began
  end
  if still and v == nil then return nil end -- the lab's, which the script's lab has, too
  return "ticking { " .. table.concat(out, ", ") .. " }"
end

-- An option as an expression; nil: it is left out, and why.
local function option(trace, side, name, v)
  local what = ("option '%s'"):format(name)
  if name == "identity" then
    if type(v) ~= "table" or v.chain or v.identity then return identity_expression(v, what) end
    local out = {}
    for i, item in ipairs(v) do out[i] = identity_expression(item, what) end
    return "{ " .. table.concat(out, ", ") .. " }"
  elseif name == "trust" then return trust_expression(v)
  elseif name == "clock" then return clock_expression(trace, side, v)
  elseif name == "hooks" then return nil, "what they said is below"
  elseif name == "keylog" then return nil, "it only listens"
  elseif name == "sessions" and type(v) == "table" then
    return "{ get = " .. answers(trace, side, "session_get", what) .. ", put = function() end, remove = function() end }"
  elseif name == "record_padding" and type(v) == "function" then
    local out = {}
    for i, n in ipairs(trace.paddings[side]) do out[i] = ("{ %d }"):format(n) end
    return "said { " .. table.concat(out, ", ") .. " }"
  elseif type(v) == "function" and asked[name] then return answers(trace, side, asked[name], what)
  end
  return expression(v, what, "  ")
end

local gates = { "compose", "send", "plain_out", "record_out", "record_in", "plain_in", "receive" }

local function injected(list, after)
  local out = {}
  for _, i in ipairs(list or {}) do
    if (i.after or false) == after then
      out[#out + 1] = i.raw and ("{ raw = %s }"):format(bytes_expression(i.bytes, "    ")) or
        ("{ content_type = %d, bytes = %s }"):format(i.content_type, bytes_expression(i.bytes, "    "))
    end
  end
  return #out > 0 and "{ " .. table.concat(out, ", ") .. " }" or nil
end

-- One verdict as a Lua table: what the driver does with it is in `driver`.
local function verdict_expression(e)
  local said, out = e.said.own or e.said, { ("name = %q"):format(e.name) }
  local function add(name, text)
    if text ~= nil then out[#out + 1] = name .. " = " .. text end
  end
  if said.raised ~= nil then add("raise", ("%q"):format(tostring(said.raised))) end
  add("before", injected(said.inject, false))
  add("after", injected(said.inject, true))
  if said.how then add("how", ("%q"):format(said.how)) end
  if type(said.pieces) == "table" then add("pieces", "{ " .. table.concat(said.pieces, ", ") .. " }")
  elseif said.pieces then add("pieces", tostring(said.pieces)) end
  if said.accept then add("accept", "true") end
  if said.transcript == "given" then add("transcript", ("{ bytes = %s }"):format(bytes_expression(said.transcript_bytes, "    ")))
  elseif said.transcript then add("transcript", ("%q"):format(said.transcript)) end
  if said.verdict == "replace" then add("bytes", bytes_expression(said.bytes, "    "))
  elseif said.verdict == "drop" then add("drop", "true")
  elseif said.verdict == "refuse" then
    add("fail", said.alert and alert_expression(said.alert) or "false")
    if said.text then add("text", ("%q"):format(said.text)) end
  end
  return "{ " .. table.concat(out, ", ") .. " }"
end

-- The verdicts of one side's hooks by gate; nil when there are none.
local function verdicts(trace, side)
  local by_gate, any = {}, false
  for _, e in ipairs(trace:all("verdict", nil, side)) do
    by_gate[e.gate] = by_gate[e.gate] or {}
    -- Where the hooks themselves said nothing, what had been kept back before came out: it does so by itself.
    if not e.said.own or next(e.said.own) then
      table.insert(by_gate[e.gate], ("    [%d] = %s,"):format(e.nth, verdict_expression(e)))
      any = true
    end
  end
  if not any then return nil end
  local out = { "-- What the hooks said: by gate, and by how many had come through it.", "local verdicts = {" }
  for _, gate in ipairs(gates) do
    if by_gate[gate] then out[#out + 1] = ("  %s = {\n%s\n  },"):format(gate, table.concat(by_gate[gate], "\n")) end
  end
  out[#out + 1] = "}"
  return table.concat(out, "\n")
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

local helpers = {
  said = [[
-- A function that answers as it did in the run, call by call.
local function said(list)
  local n = 0
  return function()
    n = n + 1
    local a = list[n] or error("asked more often than in the run", 0)
    if a.raise then error(a.raise, 0) end
    return a[1], a[2]
  end
end
]],
  ticking = [[
-- A clock that says what it said in the run.
local function ticking(list)
  local n = 0
  return function()
    n = math.min(n + 1, #list)
    return list[n]
  end
end
]],
}

local hook_driver = [[
for gate, list in pairs(verdicts) do
  local n = 0
  hs:on(gate, "*", function(_, ev)
    n = n + 1
    local v = list[n]
    if not v then return end
    if ev.name ~= v.name then error(("%s at the gate %s, %s in the run"):format(ev.name, gate, v.name), 0) end
    if v.raise then error(v.raise, 0) end
    for _, item in ipairs(v.before or {}) do ev:before(item) end
    for _, item in ipairs(v.after or {}) do ev:after(item) end
    if v.accept then ev:accept() end
    if v.how then ev[v.how](ev, v.pieces) end
    ev.transcript = v.transcript
    if v.fail ~= nil then return ev:fail(v.fail or nil, v.text) end
    if v.drop then return false end
    return v.bytes
  end)
end
]]

local driver = [[
local session, over
local function step(bytes)
  if over then return "" end
  if session then
    local plain, reply = session:open(bytes)
    if plain then return reply end
    return session:pending()
  end
  local out, message, failure
  if bytes then out, message, failure = hs:step(bytes) else out, message, failure = hs:start() end
  if not out then
    over = { message = message, failure = failure }
    return hs:pending()
  end
  if hs.done then
    session = assert(hs:session())
    local plain, reply = session:open ""
    out = out .. (plain and reply or session:pending())
  end
  return out
end
local does = { start = function() return step() end, step = step,
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

-- What of a run only the server's own memory knew, as options: a session that it had put away, early data that it had seen before.
local function remembered(trace, side, recipe)
  local hs, out = trace[side].hs, {}
  if side ~= "server" then return out end
  if hs.resumed and hs.session_id ~= "" and type(recipe.options.sessions) ~= "table" then
    local session = recipe.context:_stored_session(hs.session_id)
    if session then out.sessions = "{ get = said { { " .. bytes_expression(session, "  ") .. " } }, put = function() end, remove = function() end }" end
  end
  if hs.early_data_reason == "replayed" and type(recipe.options.on_early_data) ~= "function" then out.on_early_data = "said { { false } }" end
  return out
end

-- The script of one side; raises Cannot.
local function written(trace, side)
  local lab = trace.lab or cannot("the run was not made in a lab")
  local hs = trace[side].hs
  local recipe = lab.recipes[hs:_values().kept] or cannot("the %s was not made by the run's lab", side)
  local out = {}
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
  local names, known = sorted_names(recipe.options), remembered(trace, side, recipe)
  if recipe.options.clock == nil then names[#names + 1] = "clock" end
  for _, name in ipairs(names) do
    local text, why = option(trace, side, name, recipe.options[name])
    if known[name] then text = nil end
    if text then out[#out + 1] = ("  %s = %s,"):format(name, text)
    elseif why then out[#out + 1] = ("  -- %s is left out: %s"):format(name, why) end
  end
  for _, name in ipairs(sorted_names(known)) do out[#out + 1] = ("  %s = %s, -- that only the server's own memory had"):format(name, known[name]) end
  line "}"
  local session, server_name = hs:_values().session, hs.server_name
  if side == "server" or server_name == "" then server_name = nil end
  out[#out + 1] = ("local hs = assert(peer:handshake {%s%s })"):format(server_name and (" server_name = %q,"):format(server_name) or "",
    session and " session = akushu.resumption(" .. bytes_expression(session:serialize(), "  ") .. ")" or "")
  local said = verdicts(trace, side)
  if said then out[#out + 1] = said .. "\n" .. hook_driver end
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
  local text = table.concat(out, "\n") .. "\n"
  local before = { (head:format(side)) }
  for _, name in ipairs(sorted_names(helpers)) do
    if text:find(name .. " {", 1, true) then before[#before + 1] = helpers[name] end
  end
  return table.concat(before) .. text
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
  if passes then return text end
  return nil, ("the script of the %s does not repeat the run: %s"):format(side, why)
end

--- trace:script(o): see above. o.side: "client" or "server"; without it: both, or the one that can be repeated. Returns the text; nil, message.
function regression.script(trace, o)
  o = misuse.options("trace:script", { side = true }, o) -- the tail call of trace:script
  if o.side ~= nil and o.side ~= "client" and o.side ~= "server" then error("trace:script: 'side' is \"client\" or \"server\"", 2) end
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
