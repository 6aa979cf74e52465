--- A trace: the ordered list of all that happened between peers: messages, records, secrets as they came into being, what hooks said,
-- states, alerts, operations with their cost. lab:run gives one; trace.of(hs) watches any one handshake.
--
--     print(trace)                    the messages in a line each
--     print(trace:text(2))            with their fields, secrets, verdicts, states
--     print(trace:text(3))            with bytes, records, operations
--     trace:json()
--     trace:find("message", "server_hello").message.suite
--     print(trace:explain "server_handshake_traffic_secret")
--     print(trace:cost())
--
-- Entries have kind, n (their place), side ("client", "server": whose view or doing it is), and by kind
--
--     message    name, from, received (false where it was sent), bytes, message (decoded when first looked at), built (before hooks),
-- dropped
--     record     from, received, type, bytes; of plain fragments: plain = true
--     secret     name, value, label, from (names or descriptions of inputs), context (seed or transcript hash), used_by is found by explain
--     operation  op, what, bytes, ns
--     random     purpose, bytes
--     verdict    gate, name, nth (of what passed the gate), verdict, inject (how many), said (the whole answer)
--     question   name, answer, said
--     state      state
--     alert      from, level, description
--     data       from, bytes (application data)
--     wire       from, bytes (what went over the network)
--     failure    code, alert, origin, text
--     done       version, suite, …
--     note       text (a passive peer's: what could not be read)
local core = require "akushu.core"
local meant = require "akushu.meant"
local show = require "akushu.show"
local misuse = require "akushu.misuse"
local called = require "akushu.secret_names"
local wire = core.wire

local Trace = { __name = "akushu.Trace" }
Trace.__index = Trace

local trace = {}

-- ---- entries ----------------------------------------------------------------------------------------------------------------------

local lazy = {}

-- The message of an entry is decoded when it is first asked for.
lazy.__index = function(self, name)
  if name ~= "message" or self.kind ~= "message" then return nil end
  local message
  if self.name == "change_cipher_spec" then message = wire.decode(self.bytes, { what = "change_cipher_spec" })
  else message = wire.decode(self.bytes, self.context) end
  rawset(self, "message", message)
  return message
end

function Trace:add(entry)
  entry.n = #self.entries + 1
  self.entries[entry.n] = setmetatable(entry, lazy)
  return entry
end

--- A new, empty trace. fields: what else it carries (lab, client, server, …).
function trace.new(fields)
  local t = { entries = {}, secrets = { client = {}, server = {} } }
  for k, v in pairs(fields or {}) do t[k] = v end
  return setmetatable(t, Trace)
end

-- ---- from the engine's events --------------------------------------------------------------------------------------------------------

local HRR =
  "\xCF\x21\xAD\x74\xE5\x9A\x61\x11\xBE\x1D\x8C\x02\x1E\x65\xB8\x91\xC2\xA2\x11\x16\x7A\xBB\x8C\x5E\x07\x9E\x09\xE2\xC8\xA8\x33\x9C"
local content_names = { [20] = "change_cipher_spec", [21] = "alert", [22] = "handshake", [23] = "application_data", [24] = "heartbeat" }

--- The name of a handshake message by its bytes.
function trace.message_name(bytes)
  local kind = bytes:byte() or -1
  if kind == 2 and bytes:sub(7, 38) == HRR then return "hello_retry_request" end
  return wire.name("handshake_types", kind) or ("message_%d"):format(kind)
end

local function check_side(what, side, level)
  if side ~= "client" and side ~= "server" then error(("%s: \"client\" or \"server\" expected, got %s"):format(what, tostring(side)), level + 1) end
end

local function other(side) return side == "client" and "server" or "client" end

local function note_state(self, side, state)
  if self.state[side] == state then return end
  self.state[side] = state
  self:add { kind = "state", side = side, state = state }
end

local function message_event(self, side, event, answer)
  local incoming = event.incoming
  local final = answer.bytes or event.bytes
  if event.gate == "compose" then
    self.draft[side] = event.bytes
    return
  end
  local name = event.content_type == 20 and "change_cipher_spec" or trace.message_name(final)
  local entry = { kind = "message", side = side, from = incoming and other(side) or side, received = incoming, name = name, bytes = final,
    context = { what = "handshake", from = incoming and other(side) or side, version = event.version ~= 0 and event.version or nil,
      suite = event.suite ~= 0 and event.suite or nil } }
  if answer.how then entry.how = answer.how -- kept back, or cut: it is sent all the same
  elseif answer.verdict == "drop" then entry.dropped, entry.bytes = true, event.bytes end
  if final ~= event.bytes then entry.built = event.bytes end
  self:add(entry)
end

local function record_event(self, side, event, answer)
  local from = event.incoming and other(side) or side
  self:add { kind = "record", side = side, from = from, received = event.incoming, type = content_names[event.content_type] or
    event.content_type,
    bytes = answer.bytes or event.bytes, plain = event.gate:find "^plain" ~= nil, dropped = answer.verdict == "drop" or nil }
end

local of_messages = { compose = true, send = true, receive = true }

-- What was said, in a few words.
local function in_short(answer)
  if not answer then return nil end
  if answer.raised ~= nil then return "raised: " .. tostring(answer.raised) end
  if answer.verdict == "refuse" then return "refused" end
  return answer.yes ~= nil and tostring(answer.yes) or answer.bytes and #answer.bytes > 0 and "found" or answer.identity and "an identity" or nil
end

-- What a hook said is kept whole, so that it can be said again (regression.lua).
local function copy_of(answer)
  local out = {}
  for k, v in pairs(answer) do out[k] = v end
  return out
end

local function on_event(self, side, event, answer)
  if event.kind == "keylog" then return end
  note_state(self, side, event.state)
  if event.kind ~= "gate" then
    self:add { kind = "question", side = side, name = event.kind, answer = in_short(answer), said = answer and copy_of(answer) }
    return
  end
  answer = answer or {}
  local passed = self.passed[side]
  passed[event.gate] = (passed[event.gate] or 0) + 1
  if answer.raised ~= nil then
    self:add { kind = "verdict", side = side, gate = event.gate, name = event.name, verdict = "raised", nth = passed[event.gate], said = copy_of(answer) }
    return
  end
  if of_messages[event.gate] then message_event(self, side, event, answer) else record_event(self, side, event, answer) end
  if answer.verdict or answer.inject or answer.accept or answer.transcript then
    self:add { kind = "verdict", side = side, gate = event.gate, name = event.name or content_names[event.content_type] or
      tostring(event.content_type),
      verdict = answer.how or answer.verdict or answer.accept and "accept" or "pass", inject = answer.inject and #answer.inject,
        transcript = answer.transcript, nth = passed[event.gate], said = copy_of(answer) }
  end
end

--- Watches a handshake: all gates are opened to the trace. journal: a function that returns the operations since the last time (a lab's).
function Trace:watch(hs, journal)
  misuse.want("trace:watch", "akushu.Handshake", "a handshake", hs)
  if journal ~= nil then misuse.want("trace:watch", "callable", "a function that returns operations", journal) end
  local values = hs:_values()
  local side = hs.role
  self.state = self.state or {}
  self.draft = self.draft or {}
  self.passed = self.passed or { client = {}, server = {} }
  values.hooks = values.hooks or {}
  values.gates = 127
  hs:_gates(127)
  values.watch = function(event, answer)
    if journal then self:operations(side, journal()) end
    on_event(self, side, event, answer)
  end
  return hs
end

--- One handshake with a trace of its own: trace.of(hs). Secrets stay Secret objects: hs:secret(name) while it lives.
function trace.of(hs)
  misuse.want("trace.of", "akushu.Handshake", "a handshake", hs)
  local t = trace.new()
  t:watch(hs)
  return t
end

-- ---- operations and secrets
-- --------------------------------------------------------------------------------------------------------------

local prf_names = { ["master secret"] = "master_secret", ["extended master secret"] = "master_secret", ["key expansion"] = "key_block",
  ["client finished"] = "client_verify_data", ["server finished"] = "server_verify_data" }

-- RFC 8446 §7.1, and the labels of §4.4.4, §4.6.1, §7.2, §7.3, §7.5.
local label_names = { ["c e traffic"] = "client_early_traffic_secret", ["e exp master"] = "early_exporter_master_secret",
  ["c hs traffic"] = "client_handshake_traffic_secret", ["s hs traffic"] = "server_handshake_traffic_secret",
  ["c ap traffic"] = "client_application_traffic_secret_0", ["s ap traffic"] = "server_application_traffic_secret_0",
  ["exp master"] = "exporter_master_secret", ["res master"] = "resumption_master_secret",
  ["ext binder"] = "binder_key", ["res binder"] = "binder_key", ["resumption"] = "resumption_psk" }

local after_extract = { early_secret = "handshake_secret", handshake_secret = "master_secret" }
local made_of = { finished = "finished_key", key = "write_key", iv = "write_iv", derived = "derived" }

-- The names that secrets have in traces, in order; what is made of one of them is called name.write_key, name.write_iv, name.finished_key, name.derived.
local secret_names, is_secret = { "premaster_secret", "shared_secret", "early_secret", "handshake_secret" }, {}
do
  for _, names in ipairs { prf_names, label_names } do
    for _, name in pairs(names) do secret_names[#secret_names + 1] = name end
  end
  table.sort(secret_names)
  for i = #secret_names, 2, -1 do
    if secret_names[i] == secret_names[i - 1] then table.remove(secret_names, i) end
  end
  for _, name in ipairs(secret_names) do is_secret[name] = true end
  for _, name in pairs(made_of) do is_secret["." .. name] = true end
end

local function name_of(known, value) return value and known[value] end

local function short(known, value, what)
  return name_of(known, value) or value and ("%s %s"):format(what, show.value(value, 16)) or nil
end

-- What came out of a derivation: its name.
local function derived_name(known, op)
  if op.op == "prf" then return prf_names[op.what] or ("prf(%s)"):format(op.what) end
  local base = name_of(known, op.secret)
  if op.op == "hkdf_expand_label" then
    if label_names[op.what] then return label_names[op.what] end
    if op.what == "traffic upd" and base then
      local stem, n = base:match "^(.-)_(%d+)$"
      return stem and ("%s_%d"):format(stem, tonumber(n) + 1) or base .. "_next"
    end
    return (base or "?") .. "." .. (made_of[op.what] or op.what)
  end
  if op.op == "hkdf_extract" then
    local from = op.context and (name_of(known, op.context) or ""):match "^(.*)%.derived$"
    return from and after_extract[from] or "early_secret"
  end
  return nil
end

local public_key = { key_share = true, key_agreement = true, sign = true, verify = true, rsa_encrypt = true, rsa_decrypt = true }
local derivations = { prf = true, hkdf_extract = true, hkdf_expand_label = true }

local function add_secret(self, side, op, name, from)
  local known = self.secrets[side]
  if op.out and (#op.out > 12 or not known[op.out]) then known[op.out] = known[op.out] or name end
  return self:add { kind = "secret", side = side, name = name, value = op.out, op = op.op, label = op.what ~= "" and op.what or nil,
    from = from,
    context = op.context and op.context_b and op.context .. op.context_b or op.context }
end

local function one_operation(self, side, op)
  local known = self.secrets[side]
  if op.op == "random" then
    self:add { kind = "random", side = side, purpose = op.what, bytes = op.out or "" }
    return
  end
  self:add { kind = "operation", side = side, op = op.op, what = op.what, bytes = op.bytes, ns = op.ns, key = short(known, op.secret,
    "key"),
    secret = op.secret, public_key = public_key[op.op] or false }
  if derivations[op.op] then
    local from = { short(known, op.secret, "secret") }
    if op.op == "hkdf_extract" then from[#from + 1] = short(known, op.context, "salt") end
    add_secret(self, side, op, derived_name(known, op), from)
  elseif op.op == "key_agreement" and op.out then
    add_secret(self, side, op, "shared_secret", { "own " .. op.what .. " private value", "peer's public value" })
  elseif op.op == "rsa_encrypt" and op.secret then
    known[op.secret] = known[op.secret] or "premaster_secret"
    self:add { kind = "secret", side = side, name = "premaster_secret", value = op.secret, op = "random",
      from = { "randomness: premaster" } }
  elseif op.op == "rsa_decrypt" and op.out then
    add_secret(self, side, op, "premaster_secret", { "the server's RSA key" })
  end
end

--- Adds what a lab's provider wrote down.
function Trace:operations(side, notes)
  check_side("trace:operations", side, 2)
  misuse.want("trace:operations", "table", "a list of operations", notes)
  for i, op in ipairs(notes) do
    if type(op) ~= "table" or type(op.op) ~= "string" then misuse.expected(("trace:operations: item %d"):format(i), "an operation", op) end
  end
  for _, op in ipairs(notes) do one_operation(self, side, op) end
end

-- ---- outcomes
-- -----------------------------------------------------------------------------------------------------------------------------

--- A failure of one side, as nil, message, failure gave it.
function Trace:failed(side, message, failure)
  if failure.origin == "local" and failure.alert then
    self:add { kind = "alert", side = side, from = side, level = "fatal", description = failure.alert }
  end
  note_state(self, side, "failed")
  self:add { kind = "failure", side = side, code = failure.code, alert = failure.alert, origin = failure.origin, text = message,
    state_before = failure.state }
end

function Trace:done(side, session)
  note_state(self, side, "done")
  self:add { kind = "done", side = side, version = session.version, suite = session.suite, group = session.group, resumed = session.resumed,
    extended_master_secret = session.extended_master_secret, alpn = session.alpn }
end

-- Where each side ended: { client = "done" | "waiting" | a failure's code, … }.
local Outcome = { __name = "akushu.Outcome" }
Outcome.__index = Outcome

local function end_of(o)
  if o.code then return ("failed: %s (%s)"):format(o.code, o.origin == "peer" and "told by alert " .. tostring(o.alert) or
    o.alert and "alert " .. o.alert or "no alert") end
  return o.done and "done" or o.state and "waiting in " .. o.state or "waiting for a first message"
end

Outcome.__tostring = function(self) return ("client %s; server %s"):format(end_of(self.client), end_of(self.server)) end

-- Equal when both sides ended in the same way, whatever their words.
Outcome.__eq = function(a, b) return tostring(a) == tostring(b) end

--- How a run ended: for each side { done =, state =, code =, alert =, origin = }; printable, comparable with ==.
function Trace:outcome()
  local out = {}
  for _, side in ipairs { "client", "server" } do
    local o = { done = self:find("done", nil, side) ~= nil }
    local f = self:find("failure", nil, side)
    if f then o.code, o.alert, o.origin = f.code, f.alert, f.origin end
    for _, e in ipairs(self.entries) do
      if e.kind == "state" and e.side == side and e.state ~= "failed" then o.state = e.state end
    end
    out[side] = o
  end
  return setmetatable(out, Outcome)
end

--- The mutations of these kinds that there are for the messages of this trace (lua/akushu/mutations.lua).
function Trace:mutations(kinds, o) return require("akushu.mutations").list(self, kinds, o) end

--- A Lua regression script that repeats this run's exchange and passes as it stands (lua/akushu/regression.lua).
function Trace:script(o) return require("akushu.regression").script(self, o) end

--- What an observer with these keys can read of the run (lua/akushu/readable.lua).
function Trace:readable(keys) return require("akushu.readable").of(self, keys) end

-- ---- looking
-- -----------------------------------------------------------------------------------------------------------------------------

local kinds = { alert = true, data = true, done = true, failure = true, message = true, note = true, operation = true, question = true, random = true, record = true, secret = true,
  state = true, verdict = true, wire = true }

-- Nothing is ever found under a kind, a message or a side that there is not: a slip of the pen, of who called find or all.
local function check_search(what, kind, name, side)
  if not kinds[kind] then
    error(("%s: no kind of entry '%s'; there are alert, data, done, failure, message, note, operation, question, random, record, secret, state, verdict, wire")
      :format(what, tostring(kind)), 3)
  end
  if side ~= nil and side ~= "client" and side ~= "server" and side ~= "observer" then
    error(("%s: side: client or server expected, got %s"):format(what, tostring(side)), 3)
  end
  if kind == "message" and type(name) == "string" and name ~= "*" and name ~= "change_cipher_spec" and name ~= "hello_retry_request" and not name:find "^message_%d+$"
    and not wire.number("handshake_types", name) then
    error(("%s: no message '%s'%s"):format(what, name, meant(name, wire.registry.handshake_types)), 3)
  end
end

local function check_from(what, from)
  if from ~= nil and from ~= "client" and from ~= "server" then error(("%s: client or server expected, got %s"):format(what, tostring(from)), 3) end
end

local function matches(e, kind, name, side)
  if kind == "secret" and name then name = called.long(name) end
  return e.kind == kind and (name == nil or name == "*" or e.name == name or kind == "state" and e.state == name or kind == "random" and
    e.purpose == name or
    kind == "operation" and e.op == name or kind == "alert" and e.description == name or kind == "failure" and e.code == name) and
    (side == nil or e.side == side)
end

--- The first entry of this kind (and name, and side); of messages the sent ones come first.
function Trace:find(kind, name, side)
  check_search("trace:find", kind, name, side)
  for _, e in ipairs(self.entries) do
    if matches(e, kind, name, side) and not e.received then return e end
  end
  for _, e in ipairs(self.entries) do
    if matches(e, kind, name, side) then return e end
  end
  return nil
end

--- All of them, in order.
function Trace:all(kind, name, side)
  check_search("trace:all", kind, name, side)
  local out = {}
  for _, e in ipairs(self.entries) do
    if matches(e, kind, name, side) then out[#out + 1] = e end
  end
  return out
end

--- The messages that were sent, in order; from: one side's alone.
function Trace:messages(from)
  check_from("trace:messages", from)
  local out = {}
  for _, e in ipairs(self.entries) do
    if e.kind == "message" and not e.received and not e.dropped and (from == nil or e.from == from) then out[#out + 1] = e end
  end
  return out
end

-- A secret that is not in the trace: nil, message. A name that none has is a mistake of the method's caller (which ends with this call: level 2).
function Trace:_no_secret(name, side)
  if side ~= nil and side ~= "client" and side ~= "server" then error("client or server expected, got " .. tostring(side), 2) end
  name = called.long(name)
  local stem, more = tostring(name):match "^([^.]*)(.*)$"
  local counted = stem:match "^(.-_application_traffic_secret)_%d+$"
  if self:find("secret", name) or (is_secret[stem] or counted and is_secret[counted .. "_0"]) and (more == "" or is_secret[more]) then
    return nil, ("the trace has no %s%s"):format(name, side and " of the " .. side .. "'s" or "")
  end
  error(("no secret is called '%s'; there are %s, and of each .write_key, .write_iv, .finished_key, .derived"):format(tostring(name),
    table.concat(secret_names, ", ")), 2)
end

--- A secret's bytes by its name ("master_secret", "client_handshake_traffic_secret"); side: whose (either).
function Trace:secret(name, side)
  local e = misuse.blame(2, self.find, self, "secret", name, side)
  if e then return e.value end
  return self:_no_secret(name, side)
end

--- Everything that went over the network, one side's bytes: to compare runs.
function Trace:wire(from)
  check_from("trace:wire", from)
  local out = {}
  for _, e in ipairs(self.entries) do
    if e.kind == "wire" and (from == nil or e.from == from) then out[#out + 1] = e.bytes end
  end
  return table.concat(out)
end

for _, part in ipairs { require "akushu.trace_text", (require "akushu.trace_explain") } do
  for name, method in pairs(part) do Trace[name] = method end
end
Trace.__tostring = function(self) return self:text(1) end

trace.class = Trace
return trace
