--- Straight-line conversations: a function that speaks TLS by itself, message by message, with ordinary ifs and loops.
--
--     local talk = akushu.script("client", function(peer)
--       peer:send(peer:client_hello { suites = { "TLS_RSA_WITH_AES_128_GCM_SHA256" } })
--       local hello = peer:expect "server_hello"
--       …
--       peer:expect_alert "handshake_failure"
--     end)
--     local ok, message, failure = talk:run(server_context:handshake {})       against the engine, in memory
--     talk:run(socket)   talk:run { send = function(bytes) … end, receive = function(timeout) … end }
--
-- Nothing stands between: what is sent goes out as it is, what comes in is handed over as it is. Helpers keep the transcript, the key
-- schedule (peer.keys, see keys.lua) and the record protection as long as peer.automatic is true; everything they hold can be changed.
--
--     peer:send(m)              a message (table, or bytes with their header), "change_cipher_spec", { alert = name, level = "fatal" },
--                               { data = bytes } (application data), { raw = bytes }, { content_type = …, bytes = … }
--     peer:receive{timeout=}    what comes next: { kind = "message" | "alert" | "change_cipher_spec" | "data" | "close", name, message,
-- bytes, … }
--     peer:expect(name, {timeout=})   the message of that name; or "change_cipher_spec", "data", "alert", "close". Anything else ends
-- the script
--     peer:expect_alert(name)   an alert (of that description)
--     peer:expect_close()       close_notify or the end of the transport
--     peer:try(name, o) → message or nil, item       what came stays to be received when it is something else
--     peer:engine(hs, { before = name })   an engine's handshake of this role speaks until it would send the message of that name
--     peer:client_hello{…}  peer:server_hello{…}  peer:share(group)  peer:finished()  peer:premaster_for(certificate message)
local core = require "akushu.core"
local keys = require "akushu.keys"
local trace = require "akushu.trace"
local wire, crypto, record = core.wire, core.crypto, core.record

local script = {}

local Peer = { __name = "akushu.ScriptPeer" }
Peer.__index = Peer

local other = { client = "server", server = "client" }
local content_numbers = { change_cipher_spec = 20, alert = 21, handshake = 22, application_data = 23, heartbeat = 24 }

-- A script's own end: raised through the coroutine, returned by run as a failure.
local Stop = { __tostring = function(self) return self.message end }

local function stop(code, ...)
  local failure = setmetatable({ code = code, origin = "local", message = (...):format(select(2, ...)) }, Stop)
  error(failure, 0)
end

local function new_peer(role, o)
  return setmetatable({ role = role, automatic = true, keys = keys.new(), transcript = {}, out = {}, items = {}, assembly = "",
    deframer = record.deframer {},
    record_version = role == "client" and 0x0301 or 0x0303, max_fragment = 16384, lab = o.lab, options = o }, Peer)
end

-- ---- randomness -------------------------------------------------------------------------------------------------------------------

--- n random bytes: the lab's for this purpose when the script belongs to one, else libcrypto's.
function Peer:random(purpose, n)
  if self.lab then return self.lab:random(purpose, n) end
  local out = ""
  while #out < n do out = out .. crypto.digest("sha256", crypto.share("x25519"):public()) end -- each from a fresh private value
  return out:sub(1, n)
end

--- A key exchange value of ours: its public half; kept for the key schedule. private: its bytes (a lab: from key_share).
function Peer:share(group, private)
  if not private and self.lab then
    local size = ({ x25519 = 32, x448 = 56, secp256r1 = 32, secp384r1 = 48, secp521r1 = 66 })[group]
    private = size and self.lab:random("key_share", size)
  end
  local share = assert(crypto.share(group, private))
  self.keys.shares[group] = share
  self.keys.share = share
  return share:public()
end

-- ---- the transcript and what it tells -------------------------------------------------------------------------------------------------

local function joined(self) return table.concat(self.transcript) end

--- All handshake messages so far, as bytes.
function Peer:transcript_bytes() return joined(self) end

local function hash_now(self) return crypto.digest(self.keys.hash, joined(self)) end

local function read_client_hello(self, bytes, msg)
  local k = self.keys
  k.client_random, k.client_version = bytes:sub(7, 38), string.unpack(">I2", bytes, 5)
  self.client_shares = {}
  local shares = msg.extensions and msg.extensions:find "key_share"
  for _, s in ipairs(shares and type(shares.data) == "table" and shares.data.key_shares or
    {}) do self.client_shares[s.group] = s.key_exchange end
end

local function read_server_hello(self, bytes, msg)
  local k = self.keys
  k.server_random = bytes:sub(7, 38)
  k.version = string.unpack(">I2", bytes, 5)
  local exts = msg.extensions
  local selected = exts and exts:find "supported_versions"
  if selected then k.version = 0x0304 end
  k.suite = type(msg.cipher_suite) == "string" and msg.cipher_suite or nil
  k.ems, k.etm = exts and exts:find "extended_master_secret" ~= nil or false, exts and exts:find "encrypt_then_mac" ~= nil or false
  self.record_version = k.version > 0x0303 and 0x0303 or k.version
  local share = exts and exts:find "key_share"
  if share and type(share.data) == "table" and share.data.group then
    k.share = k.shares[share.data.group]
    k.peer_public = self.role == "client" and share.data.key_exchange or self.client_shares and self.client_shares[share.data.group]
  end
end

local readers = { client_hello = read_client_hello, server_hello = read_server_hello, hello_retry_request = read_server_hello }

function readers.server_key_exchange(self, _, msg)
  local p = msg.params
  if self.role == "client" and type(p) == "table" and p.point then self.keys.peer_public, self.group = p.point, p.named_curve end
end

function readers.client_key_exchange(self, _, msg)
  if self.role == "server" and msg.point then self.keys.peer_public = msg.point end
end

local function is_13(self) return self.keys.version == 0x0304 end

-- What follows from a message that is now in the transcript: hashes to remember, and TLS 1.3's change of keys.
local function advance(self, from, name)
  local k = self.keys
  local ours = from == self.role
  if name == "hello_retry_request" then
    local last = table.remove(self.transcript)
    local hash = crypto.digest(k.hash, joined(self)) -- RFC 8446 §4.4.1
    self.transcript = { string.pack(">BI3", 254, #hash) .. hash, last }
  elseif name == "server_hello" and is_13(self) then
    k.hashes.hello = hash_now(self)
    if not self.automatic then return end
    local mine, theirs = k[self.role .. "_handshake_traffic"], k[other[self.role] .. "_handshake_traffic"]
    self.write, self.read = k:protection_of(mine), k:protection_of(theirs, true)
  elseif name == "client_key_exchange" then
    k.hashes.client_key_exchange = hash_now(self)
  elseif name == "finished" and is_13(self) then
    k.hashes[from .. "_finished"] = hash_now(self)
    if not self.automatic then return end
    local secret = k[from .. "_application_traffic"]
    if ours then self.write = k:protection_of(secret) else self.read = k:protection_of(secret, true) end
  end
end

local function not_in_transcript(self, name)
  return name == "hello_request" or is_13(self) and (name == "new_session_ticket" or name == "key_update")
end

local function context_of(self, from, name)
  local k = self.keys
  local hello = name == "client_hello" or name == "server_hello" or name == "hello_retry_request"
  return { what = "handshake", from = from, version = not hello and k.version or nil, suite = not hello and k.suite or nil }
end

local function took(self, from, bytes)
  local name = trace.message_name(bytes)
  local msg = wire.decode(bytes, context_of(self, from, name))
  if not self.automatic or not_in_transcript(self, name) then return name, msg end
  self.transcript[#self.transcript + 1] = bytes
  if readers[name] then readers[name](self, bytes, msg) end
  advance(self, from, name)
  return name, msg
end

-- ---- sending
-- ------------------------------------------------------------------------------------------------------------------------------

--- Bytes as records of one content type, under the write protection of the moment; they go out with the next receive, or at the end.
function Peer:send_records(content_type, bytes)
  local kind = content_numbers[content_type] or content_type
  local at = 1
  repeat
    local part = bytes:sub(at, at + self.max_fragment - 1)
    at = at + self.max_fragment
    if self.write then
      self.out[#self.out + 1] = assert(self.write:seal(kind, part, 0, self.record_version))
    else
      self.out[#self.out + 1] = string.pack(">BI2s2", kind, self.record_version, part)
    end
  until at > #bytes
  return self
end

local function send_message(self, m)
  local bytes = type(m) == "string" and m or wire.encode(m, context_of(self, self.role, m.type))
  -- A message goes out under the keys before it; what it changes comes after.
  self:send_records("handshake", bytes)
  took(self, self.role, bytes)
  return bytes
end

--- ChangeCipherSpec; in TLS 1.2 and before what is written afterwards is protected.
function Peer:change_cipher_spec()
  self:send_records("change_cipher_spec", "\1")
  if self.automatic and not is_13(self) then self.write = self.keys:protection(self.role) end
end

--- See above. Returns the bytes of the message.
function Peer:send(m)
  if type(m) == "string" and m ~= "change_cipher_spec" then return send_message(self, m) end
  if m == "change_cipher_spec" or m.type == "change_cipher_spec" then return self:change_cipher_spec() end
  if m.alert then
    local number = type(m.alert) == "string" and core.alert_number(m.alert) or m.alert
    if not number then error("no alert '" .. tostring(m.alert) .. "'", 2) end
    local level = (m.level == "warning" or m.level == nil and m.alert == "close_notify") and 1 or 2
    return self:send_records("alert", string.char(level, number))
  end
  if m.data then return self:send_records("application_data", m.data) end
  if m.content_type then return self:send_records(m.content_type, m.bytes) end
  if m.raw and not m.type then
    self.out[#self.out + 1] = m.raw
    return m.raw
  end
  return send_message(self, m)
end

-- ---- receiving
-- -----------------------------------------------------------------------------------------------------------------------------

local function take_assembled(self)
  if #self.assembly < 4 then return end
  local n = string.unpack(">I3", self.assembly, 2)
  if #self.assembly < 4 + n then return end
  local bytes = self.assembly:sub(1, 4 + n)
  self.assembly = self.assembly:sub(5 + n)
  local name, msg = took(self, other[self.role], bytes)
  return { kind = "message", name = name, message = msg, bytes = bytes }
end

-- One record that has come: what it says, or nil when it is only part of something.
local function open_record(self, r)
  local kind, plain = r.type, r.fragment
  if self.read and not (is_13(self) and kind == 20) then
    local message
    plain, kind = self.read:open(r.bytes)
    if not plain then
      message = kind
      stop("bad_record", "a record does not open: %s", message)
    end
  end
  if kind == 22 then
    self.assembly = self.assembly .. plain
    return nil
  elseif kind == 21 then
    local level, what = plain:byte(1, 2)
    return { kind = what == 0 and "close" or "alert", name = core.alert_name(what or -1) or what, level = level == 1 and "warning" or
      "fatal", bytes = plain }
  elseif kind == 20 then
    if is_13(self) then return nil end
    if self.automatic then self.read = self.keys:protection(other[self.role], true) end
    return { kind = "change_cipher_spec", name = "change_cipher_spec", bytes = plain }
  elseif kind == 23 then
    return { kind = "data", name = "data", bytes = plain }
  end
  return { kind = "record", name = "record", content_type = kind, bytes = plain }
end

local function next_item(self, timeout)
  while true do
    local item = take_assembled(self)
    if item then return item end
    local r, text = self.deframer:next()
    if not r and text then stop("bad_record", "%s", text) end
    if r then
      item = open_record(self, r)
      if item then return item end
    else
      if self.ended then return { kind = "close", name = "end", bytes = "" } end
      local bytes, why = coroutine.yield(table.concat(self.out), timeout)
      self.out = {}
      if bytes == nil and why == "timeout" then return nil, "timeout" end
      if bytes == nil then self.ended = true else
        self.deframer:feed(bytes)
        self.deframer:keep()
      end
    end
  end
end

--- What comes next; nil, "timeout" when o.timeout seconds have passed (where the transport can tell).
function Peer:receive(o)
  if #self.items > 0 then return table.remove(self.items, 1) end
  return next_item(self, o and o.timeout)
end

local function is(item, name)
  if not item then return false end
  if name == "data" or name == "close" or name == "alert" or name == "change_cipher_spec" then return item.kind == name end
  return item.kind == "message" and (name == "*" or item.name == name)
end

local function describe(item, why)
  if not item then return why or "nothing" end
  if item.kind == "alert" then return ("alert %s (%s)"):format(item.name, item.level) end
  if item.kind == "close" then return item.name == "end" and "the end of the transport" or "close_notify" end
  if item.kind == "message" then return tostring(item.name) end
  return item.kind
end

local function result(item)
  if item.kind == "message" then return item.message, item end
  if item.kind == "data" then return item.bytes, item end
  return item.name, item
end

--- The message of this name; anything else ends the script with `unexpected`.
function Peer:expect(name, o)
  local item, why = self:receive(o)
  if not is(item, name) then stop(why == "timeout" and "timeout" or "unexpected", "%s expected, %s came", name, describe(item, why)) end
  return result(item)
end

--- The same, but what is not it stays to be received: nil and the item.
function Peer:try(name, o)
  if type(name) == "function" then
    local ok, value = pcall(name, self)
    if ok then return value end
    if getmetatable(value) ~= Stop then error(value, 0) end
    return nil, value
  end
  local item = self:receive(o)
  if is(item, name) then return result(item) end
  if item then table.insert(self.items, 1, item) end
  return nil, item
end

--- A fatal or warning alert; of this description when one is given.
function Peer:expect_alert(name, o)
  local item, why = self:receive(o)
  if not item or item.kind ~= "alert" or name and item.name ~= name then
    stop(why == "timeout" and "timeout" or "unexpected", "alert %s expected, %s came", name or "of any kind", describe(item, why))
  end
  return item.name, item
end

function Peer:expect_close(o)
  local item, why = self:receive(o)
  if not item or item.kind ~= "close" then stop("unexpected", "a close expected, %s came", describe(item, why)) end
  return true
end

-- ---- letting the engine play
-- --------------------------------------------------------------------------------------------------------------------

-- Where the engine keeps what, and where the key schedule of a script does.
local secrets_12 = { premaster = "premaster", master = "master" }
local secrets_13 = { early = "early_secret", handshake = "handshake_secret", master = "master_secret",
  client_handshake_traffic = "client_handshake_traffic", server_handshake_traffic = "server_handshake_traffic",
  client_application_traffic = "client_application_traffic", server_application_traffic = "server_application_traffic" }

local function take_secrets(self, hs)
  for from, to in pairs(is_13(self) and secrets_13 or secrets_12) do
    local ok, secret = pcall(hs.secret, hs, from)
    if ok and secret and #secret > 0 then rawset(self.keys, to, secret:reveal()) end
  end
end

-- What the engine said or heard: into the transcript and the hashes, while the engine still protects the records.
local function follow(self, from, name, bytes, seen)
  seen[from .. " " .. name] = true
  if name == "change_cipher_spec" or name:find "^%a+$" == nil and not wire.number("handshake_types", name) and
    name ~= "hello_retry_request" then return end
  local automatic = self.automatic
  local msg = wire.decode(bytes, context_of(self, from, name))
  if not_in_transcript(self, name) then return end
  self.transcript[#self.transcript + 1] = bytes
  if readers[name] then readers[name](self, bytes, msg) end
  self.automatic = false
  advance(self, from, name)
  self.automatic = automatic
end

-- The records are the script's from here on.
local function take_over(self, seen)
  local mine, theirs = self.role, other[self.role]
  if is_13(self) then
    local k = self.keys
    if not seen["server server_hello"] then return end
    self.write = k:protection_of(seen[mine .. " finished"] and k[mine .. "_application_traffic"] or k[mine .. "_handshake_traffic"])
    self.read = k:protection_of(seen[theirs .. " finished"] and k[theirs .. "_application_traffic"] or k[theirs .. "_handshake_traffic"], true)
  else
    if seen[mine .. " change_cipher_spec"] then self.write = self.keys:protection(mine) end
    if seen[theirs .. " change_cipher_spec"] then self.read = self.keys:protection(theirs, true) end
  end
end

--- Lets an engine's handshake of this side's role (not started yet) lead the conversation until it would send the message o.before; that
-- message and all after it are not sent. The script goes on from there with the engine's transcript and secrets in peer.keys. Returns
-- the name, the message and its bytes as the engine would have sent them; the script ends when the engine fails first, or is done.
function Peer:engine(hs, o)
  local before = o and o.before
  if type(before) ~= "string" then error("peer:engine: 'before' is the name of a message", 2) end
  if hs.role ~= self.role then error(("peer:engine: a %s's handshake expected"):format(self.role), 2) end
  local seen, stopped = {}, nil
  hs:on("send", "*", function(msg, ev)
    if not stopped and ev.name == before then
      stopped = { before, msg, ev.raw }
      take_secrets(self, hs)
      ev:before { raw = "" } -- what was made before it goes out first
    end
    if stopped then return false end
    take_secrets(self, hs)
    follow(self, self.role, ev.name, ev.raw, seen)
  end)
  hs:on("receive", "*", function(_, ev) follow(self, other[self.role], ev.name, ev.raw, seen) end)
  local out, message, failure = hs:start()
  while true do
    if not out then stop(failure.code, "the engine: %s", message) end
    self.out[#self.out + 1] = out
    if stopped then break end
    if hs.done then stop("unexpected", "the engine is done and has not sent %s", before) end
    local bytes, why = coroutine.yield(table.concat(self.out), o.timeout)
    self.out = {}
    if bytes == nil then stop(why == "timeout" and "timeout" or "unexpected", "the engine waits in %s: %s", hs.state, why or "the end") end
    out, message, failure = hs:step(bytes)
  end
  take_over(self, seen)
  return table.unpack(stopped)
end

-- ---- messages with sensible fields
-- -----------------------------------------------------------------------------------------------------------

local function extension(name, data) return { type = name, data = data } end

local function merged(fields, o)
  for k, v in pairs(o) do fields[k] = v end
  return fields
end

--- A ClientHello: o.suites, groups, schemes, server_name, versions (e.g. { "TLS 1.3" }: then with key shares, for o.shares), extensions
-- (all of them, instead), more (added after those), fields (any field of the message).
function Peer:client_hello(o)
  o = o or {}
  local groups = o.groups or { "x25519", "secp256r1" }
  local list = {}
  if o.server_name then
    list[#list + 1] = extension("server_name", { server_name_list = { { name_type = "host_name", host_name = o.server_name } } })
  end
  list[#list + 1] = extension("supported_groups", { named_group_list = groups })
  list[#list + 1] = extension("signature_algorithms", { supported_signature_algorithms = o.schemes or { "ecdsa_secp256r1_sha256",
    "rsa_pss_rsae_sha256", "ed25519", "rsa_pkcs1_sha256" } })
  if o.versions then
    list[#list + 1] = extension("supported_versions", { versions = o.versions })
    local shares = {}
    for i, group in ipairs(o.shares or { groups[1] }) do shares[i] = { group = group, key_exchange = self:share(group) } end
    list[#list + 1] = extension("key_share", { key_shares = shares })
    list[#list + 1] = extension("psk_key_exchange_modes", { ke_modes = { "psk_dhe_ke" } })
  else
    list[#list + 1] = extension("extended_master_secret", "")
    list[#list + 1] = extension("renegotiation_info", "\0")
  end
  for _, e in ipairs(o.more or {}) do list[#list + 1] = e end
  local fields = { type = "client_hello", legacy_version = "TLS 1.2", random = self:random("client_random", 32), session_id = "",
    cipher_suites = o.suites or (o.versions and { "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256" }) or
      { "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_128_GCM_SHA256" },
    compression_methods = { "null" }, extensions = o.extensions or list }
  return merged(fields, o.fields or {})
end

--- A ServerHello: o.suite, version ("TLS 1.3": with a key share for o.group), extensions, more, fields. The session id is the client's
-- in TLS 1.3.
function Peer:server_hello(o)
  o = o or {}
  local list = {}
  if o.version == "TLS 1.3" then
    list[#list + 1] = extension("supported_versions", { selected_version = "TLS 1.3" })
    list[#list + 1] = extension("key_share", { group = o.group or "x25519", key_exchange = self:share(o.group or "x25519") })
  elseif o.extended_master_secret ~= false then
    list[#list + 1] = extension("extended_master_secret", "")
  end
  for _, e in ipairs(o.more or {}) do list[#list + 1] = e end
  local fields = { type = "server_hello", legacy_version = "TLS 1.2", random = self:random("server_random", 32),
    session_id = o.session_id or "",
    cipher_suite = o.suite or error("server_hello: 'suite' is missing", 2), compression_method = "null", extensions = o.extensions or list }
  return merged(fields, o.fields or {})
end

--- RSA key exchange: makes a pre-master secret (or takes this one), and returns it encrypted under the key of the server's certificate.
function Peer:premaster_for(certificate, premaster)
  local first = certificate.certificate_list[1]
  local der = type(first) == "table" and (first.cert_data or first.data) or first
  local key = assert(crypto.public_key(assert(core.x509.certificate(der)).spki))
  self.keys.premaster = premaster or string.pack(">I2", self.keys.client_version) .. self:random("premaster", 46)
  return assert(key:encrypt(self.keys.premaster))
end

--- The Finished message of this side (or of `side`) over the transcript as it is.
function Peer:finished(side)
  return { type = "finished", verify_data = self.keys:finished(side or self.role, joined(self)) }
end

--- Whether a Finished that was received is right. Call it with the message as soon as it has come.
function Peer:is_finished(msg)
  local all = {}
  for i = 1, #self.transcript - 1 do all[i] = self.transcript[i] end
  return msg.verify_data == self.keys:finished(other[self.role], table.concat(all))
end

-- ---- running
-- ----------------------------------------------------------------------------------------------------------------------------------

local Script = { __name = "akushu.Script" }
Script.__index = Script
Script.__tostring = function(self) return ("akushu.Script (%s)"):format(self.role) end

--- akushu.script(role, function(peer) … end [, { lab = }]).
function script.new(role, fn, o)
  if role ~= "client" and role ~= "server" then error("akushu.script: the role is \"client\" or \"server\"", 2) end
  if type(fn) ~= "function" then error("akushu.script: a function expected, got " .. type(fn), 2) end
  o = o or {}
  for name in pairs(o) do
    if name ~= "lab" then error(("akushu.script: unknown option '%s'"):format(tostring(name)), 2) end
  end
  return setmetatable({ role = role, fn = fn, options = o }, Script)
end

-- An engine's handshake (and the session after it) as a transport. app: what its application answers to data.
local function engine_transport(hs, app)
  local inbox, session, over = {}, nil, false
  local function put(bytes)
    if bytes and #bytes > 0 then inbox[#inbox + 1] = bytes end
  end
  local t = {}
  function t.send(bytes)
    if over then return end
    local out
    if not session then
      out = hs:step(bytes)
      if not out then
        over = true
        return put(hs:pending())
      end
      put(out)
      if not hs.done then return end
      session, bytes = assert(hs:session()), ""
      t.session = session
    end
    local plain, reply, failure = session:open(bytes)
    if not plain then
      put(session:pending())
      if failure.code == "closed" then put(session:close()) end
      over = true
      return
    end
    put(reply)
    local answer = #plain > 0 and app and app(plain)
    if answer then put(assert(session:seal(answer))) end
  end
  function t.receive()
    if #inbox == 0 then return nil, over and "closed" or "timeout" end
    local all = table.concat(inbox)
    inbox = {}
    return all
  end
  function t.start() put(hs:start()) end
  return t
end

local function socket_transport(s)
  return { send = function(bytes) assert(s:send(bytes)) end, receive = function(timeout)
    s:settimeout(timeout or 10)
    local all, why, part = s:receive(1)
    if not all and part == "" then return nil, why end
    s:settimeout(0)
    local rest, _, some = s:receive(65536)
    return (all or part) .. (rest or some or "")
  end }
end

local function transport_of(x, o)
  local class = type(x) == "userdata" and getmetatable(x).__name
  if class == "akushu.Handshake" then return engine_transport(x, o and o.app) end
  if type(x) == "table" and x.send and x.receive and not x.settimeout then return x end
  if (type(x) == "userdata" or type(x) == "table") and x.settimeout then return socket_transport(x) end
  error("script:run: a handshake, a socket, or { send =, receive = } expected", 3)
end

--- Runs the script over a transport: an engine's Handshake of the other role (in memory; o.app: function(plain) → what its
-- application answers), a LuaSocket TCP object, or { send = function(bytes), receive = function(timeout) → bytes, or nil and
-- "timeout" or "closed" }. Returns what the script returned (true when nothing), or nil, message, failure: code `unexpected`,
-- `timeout`, `bad_record`, or what it raised.
function Script:run(transport, o)
  local t = transport_of(transport, o)
  local peer = new_peer(self.role, self.options)
  self.peer = peer
  local co = coroutine.create(self.fn)
  if t.start then t.start() end
  local got = table.pack(coroutine.resume(co, peer))
  while got[1] and coroutine.status(co) ~= "dead" do
    if got[2] and #got[2] > 0 then t.send(got[2]) end
    got = table.pack(coroutine.resume(co, t.receive(got[3])))
  end
  if #peer.out > 0 then t.send(table.concat(peer.out)) end
  if got[1] then
    if got.n == 1 or got[2] == nil then return true end
    return table.unpack(got, 2, got.n)
  end
  local failure = got[2]
  if getmetatable(failure) ~= Stop then
    local text = tostring(failure)
    failure = setmetatable({ code = "script_failed", origin = "local", message = text, error = failure }, Stop)
  end
  return nil, failure.message, failure
end

return script
