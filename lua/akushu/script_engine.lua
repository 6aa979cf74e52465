--- Letting the engine play in a script, message by message, and taking over from it at any point of a handshake (script.lua).
--
--     local name, msg, bytes = peer:engine(hs, { before = "finished" })      until it would send that message, which is not sent
--     local name, msg, bytes = peer:engine(hs, { after = "server_hello" })   until it has sent or dealt with that message
--     peer:engine(hs)                                                        until it is done
--
--     local engine = peer:steps(hs)                                          one message at a time
--     for name, msg, item in engine do … if … then break end end             item: from, bytes, sent
--     engine:take_over()
--
-- Whoever takes over has the engine's transcript, secrets and key exchange values in peer.keys, its record protection as it stands (sequence numbers, chained
-- IVs), and what came and was not read yet. The engine's handshake is over then (`aborted`, without an alert).
local script_peer = require "akushu.script_peer"
local core = require "akushu.core"
local misuse = require "akushu.misuse"
local wire = core.wire

local Peer, stop, other = script_peer.class, script_peer.stop, script_peer.other

local secrets_12 = { "premaster_secret", "master_secret" }
local secrets_13 = { "early_secret", "handshake_secret", "master_secret", "client_early_traffic_secret", "client_handshake_traffic_secret",
  "server_handshake_traffic_secret", "client_application_traffic_secret_0", "server_application_traffic_secret_0", "exporter_master_secret",
  "resumption_master_secret" }

local function take_secrets(self, hs)
  for _, name in ipairs(hs.version == "1.3" and secrets_13 or secrets_12) do
    local secret = hs:secret(name)
    if secret then self.keys[name] = secret:reveal() end
  end
  local shared = hs.version == "1.3" and hs:secret "premaster_secret" -- the engine's name for the (EC)DHE secret, too
  if shared then self.keys.shared_secret = shared:reveal() end
end

local Engine = { __name = "akushu.ScriptEngine" }
Engine.__index = Engine
Engine.__tostring = function(self) return ("akushu.ScriptEngine (%s)"):format(self.hs and tostring(self.hs) or "handed over") end

-- What the nested coroutine yields; a hook's own yields are none of these and go on to whoever runs the script.
local STEP, BEFORE, INPUT = {}, {}, {}

local function message_name(event)
  if event.content_type == 20 then return "change_cipher_spec" end
  return event.name
end

-- What the transcript takes of a message, as the machine does it (csrc/handshake/machine.c): nil for nothing.
local function taken(answer, event, final)
  local mode = answer.transcript
  if mode == "given" then return answer.transcript_bytes end
  if mode == "as_built" then return event.bytes end
  if mode == "none" then return nil end
  return final
end

-- A message has gone through its last gate: it is in the transcript when the engine goes on.
local function passed(self, event, answer)
  local peer, name = self.peer, message_name(event)
  local from = event.incoming and other[peer.role] or peer.role
  local final = event.bytes
  if answer.verdict == "replace" then final = answer.bytes elseif answer.verdict == "drop" then final = nil end
  local into
  if event.content_type == 22 then
    local said = answer.verdict or answer.transcript or answer.inject
    into = taken(not said and self.composed or answer, event, final)
    self.composed = nil
  end
  if final == nil and into == nil then return end -- it never was
  local bytes = final or into
  local msg
  if event.content_type == 22 and #bytes >= 4 then
    name, msg = script_peer.decode(peer, from, bytes)
    if into and name ~= "hello_request" and not (script_peer.is_13(peer) and (name == "new_session_ticket" or name == "key_update")) then
      local automatic = peer.automatic
      peer.automatic = false -- the engine keeps the keys
      script_peer.note(peer, from, name, into, msg)
      peer.automatic = automatic
    end
  else
    msg = { type = name, bytes = bytes }
  end
  self.last = { name = name, message = msg, bytes = bytes, from = from, sent = not event.incoming }
end

local of_messages = { compose = true, send = true, receive = true }

local function watch(self, event, answer)
  if event.kind ~= "gate" or not of_messages[event.gate] or self.over then return end
  answer = answer or {}
  if answer.raised ~= nil then return end -- the handshake fails with it
  self.event = event
  if self.last then coroutine.yield(STEP) end -- the one before has been dealt with
  if event.gate == "compose" then
    self.composed = answer.transcript and { transcript = answer.transcript, transcript_bytes = answer.transcript_bytes or event.bytes } or nil
    if self.composed and answer.transcript == "as_built" then self.composed.transcript = "given" end
    if answer.verdict == "drop" then passed(self, event, answer) end
    return
  end
  if event.gate == "send" and self.before == message_name(event) and answer.verdict ~= "drop" then
    local bytes = answer.bytes or event.bytes
    local msg = event.content_type == 22 and select(2, script_peer.decode(self.peer, self.peer.role, bytes)) or { type = self.before, bytes = bytes }
    self.stopped = { name = self.before, message = msg, bytes = bytes, from = self.peer.role, sent = false }
    coroutine.yield(BEFORE)
  end
  passed(self, event, answer)
end

-- The engine from its start to its end; what it says goes to peer.out.
local function body(self)
  local peer, hs = self.peer, self.hs
  local out, message, failure = hs:start()
  local early = peer.deframer:rest() -- what came before the engine was asked
  while true do
    self.event = nil
    if not out then
      peer.out[#peer.out + 1] = hs:pending()
      return "failed", message, failure
    end
    if #out > 0 then peer.out[#peer.out + 1] = out end
    if self.last then coroutine.yield(STEP) end
    if hs.done then return "done" end
    local bytes, why = early, nil
    if #early == 0 then bytes, why = coroutine.yield(INPUT) end
    early = ""
    if bytes == nil then return "ended", why end
    out, message, failure = hs:step(bytes)
  end
end

--- An engine's handshake of this side's role, not started yet, that plays one message at a time: call the result, or :step(), for the name, the message and { from =, bytes
-- =, sent = } of the next message that was sent, or came and was dealt with; nil when it is done. :take_over() after any of them.
function Peer:steps(hs, o)
  misuse.want("peer:steps", "akushu.Handshake", "a handshake", hs)
  if hs.role ~= self.role then error(("peer:steps: a %s's handshake expected"):format(self.role), 2) end
  local self_ = setmetatable({ peer = self, hs = hs, before = o and o.before, timeout = o and o.timeout }, Engine)
  local values = hs:_values()
  local watched = values.watch
  values.watch = function(event, answer)
    if watched then watched(event, answer) end
    watch(self_, event, answer)
  end
  values.hooks = values.hooks or {}
  values.gates = (values.gates or 0) | 67 -- compose, send, receive
  hs:_gates(values.gates)
  self_.run = coroutine.create(body)
  return self_
end

-- Runs on until the next message was dealt with (STEP), the one not to be sent stands there (BEFORE), or the end ("done").
local function go_on(self)
  local args = table.pack(self)
  while true do
    local got = table.pack(coroutine.resume(self.run, table.unpack(args, 1, args.n)))
    if not got[1] then error(got[2], 0) end
    if got[2] == STEP or got[2] == BEFORE or got[2] == "done" then return got[2] end
    if got[2] == "failed" then
      local failure = got[4]
      stop(failure.code, "the engine: %s", got[3])
    elseif got[2] == "ended" then
      stop(got[3] == "timeout" and "timeout" or "unexpected", "the engine waits in %s: %s", self.hs.state, got[3] or "the transport ended")
    elseif got[2] == INPUT then
      local out = table.concat(self.peer.out)
      self.peer.out = {}
      args = table.pack(coroutine.yield(out, self.timeout))
    else
      args = table.pack(coroutine.yield(table.unpack(got, 2, got.n)))
    end
  end
end

--- The next message: see peer:steps.
function Engine:step()
  if self.over then error("engine:step: its connection was taken over", 2) end
  if self.ended then return nil end
  local why = go_on(self)
  if why == "done" then
    self.ended = true
    return nil
  end
  local item = why == BEFORE and self.stopped or self.last
  if why == STEP then self.last = nil end
  return item.name, item.message, item
end
Engine.__call = Engine.step

--- The connection is the script's from here on.
function Engine:take_over()
  if self.over then error("engine:take_over: its connection was taken over", 2) end
  local peer, hs, event = self.peer, self.hs, self.event
  take_secrets(peer, hs)
  local o, message, failure = hs:_hand_over()
  if not o then stop(failure.code, "the engine: %s", message) end
  self.over = true
  if #o.output > 0 then peer.out[#peer.out + 1] = o.output end
  peer.write, peer.read = o.write, o.read
  peer.assembly = o.messages
  -- A message that came and that the engine has only looked at is still to be received.
  if event and event.incoming and event.content_type == 22 then peer.assembly = event.bytes .. peer.assembly
  elseif event and event.incoming then peer.opened[#peer.opened + 1] = { type = event.content_type, bytes = event.bytes } end
  peer.deframer:feed(o.records)
  peer.deframer:keep()
  for _, share in ipairs(o.shares) do
    peer.keys.shares[share:group() or "dh"] = share
    peer.keys.share = share
  end
  if #o.offered > 0 then peer.offered = o.offered end
  if next(o.psks) then peer.psks = o.psks end
  return peer
end

local options = { before = true, after = true, timeout = true }

local function check(o)
  misuse.want("peer:engine", "table", "a table of options", o, 3)
  for name, value in pairs(o) do
    if not options[name] then error(("peer:engine: unknown option '%s'"):format(tostring(name)), 3) end
    if name ~= "timeout" and (type(value) ~= "string" or value ~= "change_cipher_spec" and value ~= "hello_retry_request" and
      not wire.number("handshake_types", value)) then
      error(("peer:engine: '%s' is the name of a message"):format(name), 3)
    end
  end
  if o.before and o.after then error("peer:engine: 'before' or 'after', not both", 3) end
end

--- Lets an engine's handshake of this side's role (not started yet) lead the conversation until it would send the message o.before, which is not sent, or until it has sent
-- or dealt with the message o.after (of either side), or until it is done; then the connection is the script's. Returns the message's name, its table, its bytes. The script
-- ends when the engine fails, or is done, before that. o.timeout: seconds that it waits for the peer.
function Peer:engine(hs, o)
  o = o or {}
  misuse.want("peer:engine", "akushu.Handshake", "a handshake", hs)
  check(o)
  local engine = misuse.blame(2, self.steps, self, hs, o)
  local wanted = o.before or o.after
  while true do
    local name, msg, item = engine:step()
    if not name and wanted then
      stop("unexpected", "the engine is done and has not %s %s", o.before and "sent" or "seen", wanted)
    end
    if not name then return engine:take_over() and nil end
    if o.before and item == engine.stopped or o.after == name then
      engine:take_over()
      return name, msg, item.bytes
    end
  end
end
