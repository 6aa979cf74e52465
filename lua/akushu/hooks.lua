--- Hooks: what a script says at a gate, and its answers to the engine's questions.
--
--     hs:on(gate, message, function(msg, ev) … end)
--
-- gate: "compose", "send", "plain_out", "record_out", "record_in", "plain_in", "receive". message: a handshake message's name, "change_cipher_spec" …
-- or "*"; for the plain_ and record_ gates the content type's name or "*". msg is the message as a table (compose, send, receive), or the fragment's or
-- record's bytes (the others). What the function returns decides:
--
--   nothing             msg goes on; a table that was changed in place goes on changed
--   a table or string   goes on in its place
--   false               it is dropped
--
-- ev says more and can do more: ev.gate, ev.name, ev.incoming, ev.state, ev.raw (the bytes as they are), ev:drop(), ev:replace(x), ev:before(x), ev:after(x),
-- ev:fail(alert, text), ev:accept() (a message that is not expected is taken into the transcript and passed over), ev.transcript = "as_sent" | "as_built" | "none" |
-- {bytes = …}. At plain_out: ev.padding = n (TLS 1.3: so much padding, as far as the peer's limit allows).
-- What goes out can also be kept back: ev:delay() (it goes out after the next one), ev:coalesce() (in one record with the next one), or be cut:
-- ev:fragment(size or sizes). Hooks of one gate chain in the order in which they were added. A hook may yield, and may raise: then the handshake fails with that error.
local core = require "akushu.core"
local meant = require "akushu.meant"
local wire = core.wire

local hooks = {}

local gate_bit = { compose = 1, send = 2, plain_out = 4, record_out = 8, record_in = 16, plain_in = 32, receive = 64 }
local of_messages = { compose = true, send = true, receive = true }
local content_names = { [20] = "change_cipher_spec", [21] = "alert", [22] = "handshake", [23] = "application_data", [24] = "heartbeat" }
local content_numbers = {}
for number, name in pairs(content_names) do content_numbers[name] = number end

local transcript_modes = { as_sent = true, as_built = true, none = true }

local Event = {}
Event.__index = Event
Event.__name = "akushu.HookEvent"

-- An alert by name or number; nil: there is none.
local function alert_number(alert)
  if type(alert) == "string" then return core.alert_number(alert) end
  return math.type(alert) == "integer" and alert >= 0 and alert <= 255 and alert or nil
end

function Event:drop() self.verdict = "drop" end

function Event:replace(value) self.verdict, self.value = "replace", value end

--- Ends the handshake with an alert ("handshake_failure", 40; nil: none is sent).
function Event:fail(alert, text)
  self.verdict = "refuse"
  if alert ~= nil then self.alert = alert_number(alert) or error("no alert '" .. tostring(alert) .. "'", 2) end
  self.text = text
end

function Event:accept() self.accepted = true end

local function outgoing(ev, what, gates)
  if not gates[ev.gate] then error(("ev:%s is for the gates that %s, not for %s"):format(what, gates.words, ev.gate), 3) end
end

local sending = { send = true, plain_out = true, record_out = true, words = "send" }
local messages_out = { send = true, words = "send whole messages" }

--- Keeps a message, fragment or record back until the next one of this gate has gone out, or to the end of the flight when none comes (a handshake that fails sends no
-- more of them). It is then protected under the keys of its new moment, a ChangeCipherSpec by none. The transcript takes it at its old place.
function Event:delay()
  outgoing(self, "delay", sending)
  self.verdict = "delay"
end

--- Keeps a message back to send it in one record with the next message.
function Event:coalesce()
  outgoing(self, "coalesce", messages_out)
  if self.content_type_number ~= 22 then error("ev:coalesce is for handshake messages", 2) end
  self.verdict = "coalesce"
end

-- The pieces of bytes: of one size, or of the sizes of a list, the last one with all that is left. A size of 0 is an empty record.
local function pieces_of(bytes, sizes)
  local out, at = {}, 1
  if math.type(sizes) == "integer" and sizes > 0 then
    for i = 1, #bytes, sizes do out[#out + 1] = bytes:sub(i, i + sizes - 1) end
    return out
  end
  if type(sizes) ~= "table" then error("ev:fragment: a size or a list of sizes expected", 3) end
  for _, size in ipairs(sizes) do
    if math.type(size) ~= "integer" or size < 0 then error("ev:fragment: sizes are integers from 0", 3) end
    if at > #bytes then break end
    out[#out + 1] = bytes:sub(at, at + size - 1)
    at = at + size
  end
  if at <= #bytes then out[#out + 1] = bytes:sub(at) end
  return out
end

--- Sends a message in records of its own, cut as told: a size, or a list of sizes (what is left is the last piece).
function Event:fragment(sizes)
  outgoing(self, "fragment", messages_out)
  pieces_of(self.raw, sizes) -- raises when they are none
  self.verdict, self.pieces = "fragment", sizes
end

-- What may be put before or after: a message as a table or as bytes with its header, {raw = record bytes}, {alert = name, level = "fatal"},
-- {content_type = name or number, bytes = …}, "change_cipher_spec".
local function injection(ev, value, after)
  if value == "change_cipher_spec" then return { after = after, content_type = 20, bytes = "\1" } end
  if type(value) == "string" then
    return { after = after, content_type = ev.content_type_number or 22, bytes = value, raw = ev.gate == "record_out" }
  end
  if type(value) ~= "table" then error("a message, a string or a table expected", 4) end
  if value.raw and not value.type then return { after = after, raw = true, bytes = value.raw } end
  if value.alert then
    local number = alert_number(value.alert) or error("no alert '" .. tostring(value.alert) .. "'", 4)
    return { after = after, content_type = 21, bytes = string.char(value.level == "warning" and 1 or 2, number) }
  end
  if value.bytes and not value.type then
    return { after = after, content_type = content_numbers[value.content_type] or value.content_type or 22, bytes = value.bytes }
  end
  return { after = after, content_type = value.type == "change_cipher_spec" and 20 or 22, bytes = wire.encode(value, ev.context) }
end

-- Behind the gate record_out nothing is protected any more: what is no record yet goes out as one, as it is.
local function as_record(ev, item)
  if ev.gate ~= "record_out" or item.raw then return item end
  local version = ev.version == 0 and 0x0301 or math.min(ev.version, 0x0303)
  return { after = item.after, raw = true, bytes = string.pack(">BI2s2", item.content_type, version, item.bytes) }
end

local function inject(ev, value, after)
  if ev.incoming then error("only outgoing messages and records have a before and an after", 3) end
  ev.inject = ev.inject or {}
  ev.inject[#ev.inject + 1] = as_record(ev, injection(ev, value, after))
end

function Event:before(value) inject(self, value, false) end

function Event:after(value) inject(self, value, true) end

-- ---- gates ---------------------------------------------------------------------------------------------------------------

local function message_name(event)
  if event.content_type ~= 22 then return content_names[event.content_type] or event.content_type end
  if event.message_type == 2 and #event.bytes >= 38 and event.bytes:sub(7, 38) == hooks.hrr_random then return "hello_retry_request" end
  return wire.name("handshake_types", event.message_type) or event.message_type
end

hooks.hrr_random = "\xCF\x21\xAD\x74\xE5\x9A\x61\x11\xBE\x1D\x8C\x02\x1E\x65\xB8\x91\xC2\xA2\x11\x16\x7A\xBB\x8C\x5E\x07\x9E\x09\xE2\xC8\xA8\x33\x9C"

local function decode(event, bytes, context)
  if not of_messages[event.gate] then return bytes end
  return wire.decode(bytes, event.content_type ~= 22 and { what = content_names[event.content_type] } or context)
end

local function encode(value, context)
  if type(value) == "string" then return value end
  if type(value) ~= "table" then error("a hook must return a message, a string, false or nothing; it returned a " .. type(value), 0) end
  -- What is wrong with the message is no fault of this file's: no position of it in front.
  local ok, bytes = pcall(wire.encode, value, context)
  if not ok then error(("%s: %s"):format(value.type or "what a hook returned", bytes), 0) end
  return bytes
end

local function run_one(hook, event, bytes, context, answer)
  local msg = decode(event, bytes, context)
  local ev = setmetatable({ gate = event.gate, name = event.name, incoming = event.incoming, state = event.state, raw = bytes, context = context,
    content_type = content_names[event.content_type], content_type_number = event.content_type, version = event.version }, Event)
  local result = hook.fn(msg, ev)
  if ev.inject then
    answer.inject = answer.inject or {}
    for _, i in ipairs(ev.inject) do answer.inject[#answer.inject + 1] = i end
  end
  if ev.accepted then answer.accept = true end
  if ev.padding ~= nil then
    if event.gate ~= "plain_out" then error("ev.padding is for the gate plain_out", 0) end
    if math.type(ev.padding) ~= "integer" or ev.padding < 0 then error("ev.padding: a number of bytes expected", 0) end
    answer.padding = ev.padding
  end
  if type(ev.transcript) == "table" then answer.transcript, answer.transcript_bytes = "given", ev.transcript.bytes
  elseif ev.transcript then
    if not transcript_modes[ev.transcript] then error("ev.transcript: no mode '" .. tostring(ev.transcript) .. "'", 0) end
    answer.transcript = ev.transcript
  end
  if ev.verdict == "refuse" then
    answer.verdict, answer.alert, answer.text = "refuse", ev.alert, ev.text
    return nil
  end
  if ev.verdict == "drop" or result == false then
    answer.verdict = "drop"
    return nil
  end
  if ev.verdict == "replace" then result = ev.value end
  if result == nil then result = msg end
  local out = encode(result, context)
  if ev.verdict == "delay" or ev.verdict == "coalesce" or ev.verdict == "fragment" then answer.how, answer.pieces = ev.verdict, ev.pieces end
  return out
end

-- ---- what is kept back ------------------------------------------------------------------------------------------------------

local function put_beside(answer, item)
  answer.inject = answer.inject or {}
  table.insert(answer.inject, item)
end

-- A message that comes late, as an injection. A ChangeCipherSpec comes in the clear, as it would have.
local function late(gate, content_type, bytes)
  if gate == "record_out" then return { after = true, raw = true, bytes = bytes } end
  if content_type == 20 then return { after = true, raw = true, bytes = string.pack(">BI2s2", 20, 0x0303, bytes) } end
  return { after = true, content_type = content_type, bytes = bytes }
end

-- Whoever keeps a message back still says what the transcript takes: the message itself, at its place, unless a hook said otherwise. What is in values.held
-- when the engine has nothing more to say goes out then (csrc/binding/lhandshake.c).
local function hold(values, event, bytes, answer)
  values.held = values.held or {}
  table.insert(values.held, { gate = event.gate, how = answer.how, bytes = bytes, content_type = event.content_type,
    late = late(event.gate, event.content_type, bytes) })
  answer.verdict = "drop"
  if event.gate == "send" and event.content_type == 22 and not answer.transcript then
    answer.transcript, answer.transcript_bytes = "given", bytes
  end
end

-- The next one of its gate has come: what was held goes before it in its record, or after it.
local function release(values, event, bytes, answer)
  local joined, others = "", {}
  for _, item in ipairs(values.held) do
    if item.gate ~= event.gate then others[#others + 1] = item
    elseif item.how == "coalesce" and event.content_type == item.content_type then joined = joined .. item.bytes
    elseif item.how == "coalesce" then put_beside(answer, { after = false, content_type = item.content_type, bytes = item.bytes })
    else put_beside(answer, item.late) end
  end
  values.held = #others > 0 and others or nil
  if joined == "" then return bytes end
  if not answer.transcript then answer.transcript, answer.transcript_bytes = "given", bytes end
  return joined .. bytes
end

-- In pieces: each is put before the message, which itself is not sent again.
local function cut(event, bytes, answer)
  for _, piece in ipairs(pieces_of(bytes, answer.pieces)) do
    put_beside(answer, { after = false, content_type = event.content_type, bytes = piece })
  end
  answer.verdict = "drop"
  if event.content_type == 22 and not answer.transcript then answer.transcript, answer.transcript_bytes = "given", bytes end
end

-- What the hooks of this event alone have said, for a trace: without what others have kept back until now.
local function own_part(event, bytes, answer)
  return { how = answer.how, pieces = answer.pieces, verdict = bytes ~= event.bytes and "replace" or nil, bytes = bytes ~= event.bytes and bytes or nil,
    inject = answer.inject and table.move(answer.inject, 1, #answer.inject, 1, {}) or nil, accept = answer.accept, transcript = answer.transcript,
    transcript_bytes = answer.transcript_bytes }
end

local function at_gate(values, event)
  event.name = of_messages[event.gate] and message_name(event) or content_names[event.content_type] or event.content_type
  local bytes, answer, context = event.bytes, {}, nil
  for _, hook in ipairs(values.hooks[event.gate] or {}) do
    if hook.message == "*" or hook.message == event.name then
      context = context or { what = "handshake", version = event.version ~= 0 and event.version or nil, suite = event.suite ~= 0 and event.suite or nil,
        from = (event.incoming == (values.role == "client")) and "server" or "client" }
      bytes = run_one(hook, event, bytes, context, answer)
      if not bytes then return answer end
    end
  end
  if values.watch and (answer.how or values.held) then answer.own = own_part(event, bytes, answer) end
  if answer.how == "delay" or answer.how == "coalesce" then
    hold(values, event, bytes, answer)
    return answer
  end
  if values.held then bytes = release(values, event, bytes, answer) end
  if answer.how == "fragment" then
    cut(event, bytes, answer)
    return answer
  end
  if bytes ~= event.bytes then answer.verdict, answer.bytes = "replace", bytes end
  return answer
end

-- ---- questions ------------------------------------------------------------------------------------------------------------

local questions = {}

-- refusal: the handshake ends with this alert (a name or a number; nil: the one that belongs to the code).
local function refusal(code, alert, by)
  if alert == nil then alert = core.errors()[code].alert end
  local number = alert_number(alert) or error("no alert '" .. tostring(alert) .. "'", 0)
  return { verdict = "refuse", error = code, alert = number, text = "the answer of " .. by }
end

-- on_untrusted(report, hs) → yes, false [, alert], or "remember": yes, and for the sessions that come of this one
function questions.untrusted(values, event, hs)
  local yes, alert = values.kept.on_untrusted(event.report, hs)
  if not yes and alert ~= nil then
    return refusal(alert == "bad_certificate_status_response" and "bad_ocsp_response" or "certificate_rejected", alert, "on_untrusted")
  end
  if yes ~= nil and yes ~= false and yes ~= true and yes ~= "remember" then
    error("on_untrusted must return true, \"remember\", false [, alert] or nil", 0)
  end
  return { yes = yes == true or yes == "remember", remember = yes == "remember" }
end

-- on_ocsp(certificate, hs) → response, nil for none, or false [, alert] to end it
function questions.ocsp(values, event, hs)
  local response, alert = values.kept.on_ocsp(event.bytes, hs)
  if response == false then return refusal("staple_refused", alert, "on_ocsp") end
  if response ~= nil and type(response) ~= "string" then error("on_ocsp must return a string, nil or false", 0) end
  return { bytes = response }
end

-- on_early_data(key, hs) → whether this first flight was never seen before
function questions.early_data(values, event, hs)
  local new = values.kept.on_early_data(event.key, hs)
  if new ~= nil and type(new) ~= "boolean" then error("on_early_data must return true, false or nil", 0) end
  return { yes = new == true }
end

-- on_psk(identity, hs) → the pre-shared key of this identity, nil for none, or false [, alert] to end it
function questions.psk(values, event, hs)
  local key, alert = values.kept.on_psk(event.key, hs)
  if key == false then
    local answer = refusal("unknown_psk_identity", alert, "on_psk")
    answer.text = ("%q"):format(event.key:sub(1, 100))
    return answer
  end
  if type(key) == "userdata" and getmetatable(key).__name == "akushu.Secret" then key = key:reveal() end
  if key ~= nil and type(key) ~= "string" then error("on_psk must return a string, a Secret, nil or false", 0) end
  return { bytes = key }
end

function questions.session_get(values, event)
  local found = values.kept.sessions.get(event.key)
  if found ~= nil and type(found) ~= "string" then error("sessions.get must return a string or nil", 0) end
  return { bytes = found }
end

function questions.session_put(values, event) values.kept.sessions.put(event.key, event.bytes) end

function questions.session_remove(values, event) values.kept.sessions.remove(event.key) end

-- on_identity(server name or names of CAs, hs [, the CertificateRequest as a table]) → identity, nil for none, or false [, alert] to end it
function questions.identity(values, event, hs)
  local about, request = event.bytes ~= "" and event.bytes or nil, nil
  if event.request then -- a client: what the server would like to see
    request = wire.decode(event.request, { what = "handshake", version = event.version, from = "server" })
    about = about and core.distinguished_names(about)
  end
  local found, alert = values.kept.on_identity(about, hs, request)
  if found == false then return refusal("identity_refused", alert, "on_identity") end
  if type(found) == "table" then
    if found[1] ~= nil then error("on_identity must return one identity or nil; it returned a list", 0) end
    if not found.identity then
      local identity, message = core.x509.identity(found)
      found = { identity = identity or error("on_identity: " .. message, 0) }
    end
    found = found.identity
  end
  if found and (type(found) ~= "userdata" or getmetatable(found).__name ~= "akushu.Identity") then
    error("on_identity must return an identity or nil; it returned a " .. type(found), 0)
  end
  if found and not found.certificate then error("on_identity has returned an identity that was closed", 0) end
  return { identity = found }
end

function questions.alpn(values, event, hs)
  local names, at = {}, 1
  while at <= #event.bytes do names[#names + 1], at = string.unpack("s1", event.bytes, at) end
  local choice = values.kept.alpn(names, hs)
  if choice == false then return { yes = false } end
  if choice ~= nil and type(choice) ~= "string" then error("alpn must return a name, nil or false; it returned a " .. type(choice), 0) end
  if choice == "" then return refusal("alpn_choice", nil, "alpn") end
  return { yes = true, bytes = choice }
end

function questions.keylog(values, event)
  for line in event.bytes:gmatch "[^\n]+" do values.kept.keylog(line) end
end

local function answer_of(values, event, hs)
  if event.kind == "gate" then return at_gate(values, event) end
  return questions[event.kind](values, event, hs)
end

--- What the engine calls with each of its events (see csrc/binding/lhandshake.c). values.watch (a trace, a script) sees each with its answer, which is { raised = error } when
-- a hook or function has raised.
function hooks.dispatch(hs, event)
  local values = hs:_values()
  if not values.watch then return answer_of(values, event, hs) end
  local ok, answer = pcall(answer_of, values, event, hs)
  values.watch(event, ok and answer or not ok and { raised = answer } or nil)
  if not ok then error(answer, 0) end
  return answer
end

local all_gates = "compose, send, plain_out, record_out, record_in, plain_in, receive"

--- What is wrong with a hook, in words; nil: nothing.
function hooks.wrong(gate, message, fn)
  if type(gate) ~= "string" then return ("the name of a gate expected (%s), got %s"):format(all_gates, type(gate)) end
  if not gate_bit[gate] then return ("no gate '%s'; there are %s"):format(gate, all_gates) end
  if type(message) ~= "string" then return ("the name of a message expected, or \"*\", got %s"):format(type(message)) end
  if of_messages[gate] and message ~= "*" and message ~= "hello_retry_request" and message ~= "change_cipher_spec" and
    not wire.number("handshake_types", message) then
    return ("no message '%s'%s"):format(message, meant(message, wire.registry.handshake_types, content_numbers[message] and
      { [message] = ("the gate %s sees handshake messages; records go through record_out and record_in"):format(gate) }))
  end
  if not of_messages[gate] and message ~= "*" and not content_numbers[message] then
    return ("no content type '%s'; the gate %s sees change_cipher_spec, alert, handshake and application_data"):format(message, gate)
  end
  local mt = getmetatable(fn)
  if type(fn) ~= "function" and not (type(mt) == "table" and mt.__call) then return "a function expected, got " .. type(fn) end
  return nil
end

-- A message's name as events carry it: "ClientHello" is taken for "client_hello", as wire.number takes it.
local function event_name(gate, message)
  if not of_messages[gate] or message == "hello_retry_request" then return message end
  local number = wire.number("handshake_types", message)
  return number and wire.name("handshake_types", number) or message
end

--- Handshake:on(gate, message, fn). Returns the handshake, so that calls chain.
function hooks.on(hs, gate, message, fn)
  if type(hs) ~= "userdata" then error("hs:on: a handshake expected (hs:on, with a colon), got " .. type(hs), 2) end
  local wrong, bit = hooks.wrong(gate, message, fn), gate_bit[gate]
  if wrong then error("hs:on: " .. wrong, 2) end
  message = event_name(gate, message)
  local values = hs:_values()
  values.hooks = values.hooks or {}
  values.hooks[gate] = values.hooks[gate] or {}
  table.insert(values.hooks[gate], { message = message, fn = fn })
  values.gates = (values.gates or 0) | bit
  hs:_gates(values.gates)
  return hs
end

--- Option record_padding as a function: asked for every record of the handshake but its alerts, for which the engine's side asks (lhandshake.c).
function hooks.pad(hs, fn)
  hooks.on(hs, "plain_out", "*", function(bytes, ev) ev.padding = fn(ev.content_type, #bytes) end)
  hs:_pad()
end

return hooks
