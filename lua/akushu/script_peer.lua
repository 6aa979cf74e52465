--- The peer that a script speaks through (script.lua): what it sends and receives, the transcript, and what follows from both as long as peer.automatic is
-- true. What lets an engine play is in script_engine.lua, messages with sensible fields in script_messages.lua.
local core = require "akushu.core"
local keys = require "akushu.keys"
local misuse = require "akushu.misuse"
local trace = require "akushu.trace"
local wire, crypto, record = core.wire, core.crypto, core.record

local script_peer = {}

local Peer = { __name = "akushu.ScriptPeer" }
Peer.__index = Peer
script_peer.class = Peer

local other = { client = "server", server = "client" }
script_peer.other = other
local content_numbers = { change_cipher_spec = 20, alert = 21, handshake = 22, application_data = 23, heartbeat = 24 }

-- A script's own end: raised through the coroutine, returned by run as a failure.
local Stop = { __tostring = function(self) return self.message end }
script_peer.Stop = Stop

local function stop_with(fields)
  fields.origin = fields.origin or "local"
  error(setmetatable(fields, Stop), 0)
end

-- What cannot be read, with its bytes.
local function unreadable(item, ...) stop_with { code = "bad_record", message = (...):format(select(2, ...)), item = item } end

--- Ends the script: run returns nil, the message, and a failure with this code.
function script_peer.stop(code, ...) stop_with { code = code, message = (...):format(select(2, ...)) } end

function script_peer.new(role, o)
  return setmetatable({ role = role, automatic = true, keys = keys.new(), transcript = {}, out = {}, items = {}, opened = {}, assembly = "",
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

local function check_group(group, level)
  if (type(group) == "string" or math.type(group) == "integer") and core.find_group(group) then return end
  error(("peer:share: no group '%s'"):format(tostring(group)), level + 1)
end

--- A key exchange value of ours: its public half; kept for the key schedule. group: a name, or "dh" for the parameters of the server's
-- ServerKeyExchange; private: its bytes (a lab: from key_share).
function Peer:share(group, private)
  if private ~= nil then misuse.want("peer:share", "string", "the bytes of a private value", private) end
  if group ~= "dh" then check_group(group, 2) end
  local share
  if group == "dh" and self.dh then
    share = assert(crypto.dh_share(self.dh.p, self.dh.g))
  else
    if not private and self.lab then
      local size = ({ x25519 = 32, x448 = 56, secp256r1 = 32, secp384r1 = 48, secp521r1 = 66 })[group]
      private = size and self.lab:random("key_share", size)
    end
    share = assert(crypto.share(group, private))
  end
  local k = self.keys
  k.shares[group] = share
  k.share, k.shared_secret, k.premaster_secret = share, nil, nil -- those of another value
  return share:public()
end

--- The key of the first certificate of a certificate message.
function script_peer.public_key_of(what, certificate)
  misuse.want(what, "table", "a certificate message", certificate, 3)
  local first = type(certificate.certificate_list) == "table" and certificate.certificate_list[1] or error(what .. ": a message with no certificate in it", 3)
  local der = type(first) == "table" and (first.cert_data or first.data) or first
  return assert(crypto.public_key(assert(core.x509.certificate(der)).spki))
end

--- A private key as akushu.crypto has it: of that kind already, a PrivateKey, an identity, PEM or DER.
function script_peer.private_key_of(what, key)
  local class, message = misuse.kind(key), nil
  if class == "table" and key.identity then key, class = key.identity, misuse.kind(key.identity) end
  if class == "akushu.Identity" then key, class = key.key, misuse.kind(key.key) end
  if class == "akushu.PrivateKey" then key, class = key:reveal "der", "string" end
  if class == "string" then key, message = crypto.key(key) end
  if message then error(("%s: %s"):format(what, message), 3) end
  return misuse.want(what, "akushu.crypto.key", "a private key or an identity", key) -- a tail call: its caller is the method
end

-- ---- the transcript and what it tells -------------------------------------------------------------------------------------------------

local function joined(self) return table.concat(self.transcript) end

--- All handshake messages so far, as bytes.
function Peer:transcript_bytes() return joined(self) end

local function hash_now(self) return crypto.digest(self.keys.hash, joined(self)) end

local function has(msg, name) return msg.extensions and type(msg.extensions) == "table" and msg.extensions:find(name) or nil end

-- What a hello that ends too early does not have is not known, and that is all.
local function session_id_of(msg) return type(msg.session_id) == "string" and msg.session_id or "" end

local function read_client_hello(self, bytes, msg)
  local k = self.keys
  if #bytes < 38 then return end
  k.client_random, k.client_version = bytes:sub(7, 38), string.unpack(">I2", bytes, 5)
  k.client_hello = bytes
  self.client_session_id = session_id_of(msg)
  self.client_shares, self.early = {}, has(msg, "early_data") and "offered" or nil
  local shares = has(msg, "key_share")
  for _, s in ipairs(shares and type(shares.data) == "table" and shares.data.key_shares or
    {}) do self.client_shares[s.group] = s.key_exchange end
end

-- Which of the keys that an engine has offered or found (script_engine.lua) is used; a script that offers its own sets keys.psk or keys.master_secret.
local function read_choice(self, msg, session_id)
  local k, offered = self.keys, self.offered
  if k.version == 0x0304 then
    if self.role == "server" then return end
    local chosen = has(msg, "pre_shared_key")
    if not chosen then
      k.psk, k.early_secret = nil, nil -- RFC 8446 §7.1: zeros in its place
    elseif offered and type(chosen.data) == "table" and math.type(chosen.data.selected_identity) == "integer" then
      k.psk = offered[chosen.data.selected_identity + 1]
      k.early_secret = nil
    end
  elseif offered and session_id ~= "" and session_id == self.client_session_id then
    k.master_secret = offered[1]
  end
end

local function read_server_hello(self, bytes, msg)
  local k = self.keys
  if #bytes < 38 then return end
  k.server_random = bytes:sub(7, 38)
  k.version = string.unpack(">I2", bytes, 5)
  if has(msg, "supported_versions") then k.version = 0x0304 end
  k.suite = type(msg.cipher_suite) == "string" and msg.cipher_suite or nil
  k.ems, k.etm = has(msg, "extended_master_secret") ~= nil, has(msg, "encrypt_then_mac") ~= nil
  self.record_version = k.version > 0x0303 and 0x0303 or k.version
  local share = has(msg, "key_share")
  if share and type(share.data) == "table" and share.data.group then
    k.share = k.shares[share.data.group]
    k.peer_public = self.role == "client" and share.data.key_exchange or self.client_shares and self.client_shares[share.data.group]
  end
  if k.version == 0x0304 and not share and has(msg, "pre_shared_key") and k.suite then
    k.shared = ("\0"):rep(k.hash_size) -- psk_ke: RFC 8446 §7.1
  end
  read_choice(self, msg, session_id_of(msg))
end

local readers = { client_hello = read_client_hello, server_hello = read_server_hello, hello_retry_request = read_server_hello }

function readers.server_key_exchange(self, _, msg)
  local p = msg.params
  if self.role ~= "client" or type(p) ~= "table" then return end
  if p.point then self.keys.peer_public, self.group = p.point, p.named_curve end
  if p.dh_ys then self.keys.peer_public, self.group, self.dh = p.dh_ys, "dh", { p = p.dh_p, g = p.dh_g } end
end

function readers.client_key_exchange(self, _, msg)
  -- Of the pre-shared keys that an engine had (script_engine.lua) the one that is named.
  if self.psks and not self.keys.psk then self.keys.psk = self.psks[msg.psk_identity] end
  if self.role == "server" then self.keys.peer_public = msg.point or msg.dh_yc or self.keys.peer_public end
end

function readers.encrypted_extensions(self, _, msg)
  if self.early then self.early = has(msg, "early_data") and "accepted" or "refused" end
end

local function is_13(self) return self.keys.version == 0x0304 end
script_peer.is_13 = is_13

local function protect(self, from, secret)
  if from == self.role then self.write = self.keys:protection_of(secret)
  else self.read = self.keys:protection_of(secret, true) end
end

-- What follows from a message that is now in the transcript: hashes to remember, and TLS 1.3's change of keys.
local changes = {}

function changes.server_hello(self)
  local k = self.keys
  if self.role == "client" and self.early and self.write then
    protect(self, "server", k.server_handshake_traffic) -- early data goes on until EncryptedExtensions has decided
    return
  end
  protect(self, "client", k.client_handshake_traffic)
  protect(self, "server", k.server_handshake_traffic)
end

function changes.encrypted_extensions(self)
  local k = self.keys
  if self.role == "client" and self.early == "refused" then protect(self, "client", k.client_handshake_traffic) end
  if self.role == "server" and self.early == "accepted" then protect(self, "client", k.client_early_traffic) end
end

function changes.end_of_early_data(self) protect(self, "client", self.keys.client_handshake_traffic) end

function changes.finished(self, from) protect(self, from, self.keys[from .. "_application_traffic"]) end

-- Record protection whose keys the script cannot compute (it has sent a share that is not its own, say) is none of its business until it sends or reads what is protected:
-- peer.unkeyed says why.
local function keyed(self, fn, from)
  local ok, why = pcall(fn, self, from)
  if ok then return end
  if type(why) ~= "string" or not why:find "^keys: " then error(why, 0) end
  self.unkeyed = why
end

local function hash_known(k) return k.hash end

local function advance(self, from, name)
  local k = self.keys
  if name == "hello_retry_request" or name == "client_key_exchange" or is_13(self) then
    if not pcall(hash_known, k) then return end -- a suite that nobody can compute with: the script sees it, and goes on as it likes
  end
  if name == "hello_retry_request" then
    local last = table.remove(self.transcript)
    local hash = crypto.digest(k.hash, joined(self)) -- RFC 8446 §4.4.1
    self.transcript = { string.pack(">BI3", 254, #hash) .. hash, last }
  elseif name == "client_key_exchange" and not is_13(self) then
    k.hashes.client_key_exchange = hash_now(self)
  elseif is_13(self) then
    if name == "server_hello" then k.hashes.hello = hash_now(self) end
    if name == "finished" then k.hashes[from .. "_finished"] = hash_now(self) end
    if self.automatic and changes[name] then keyed(self, changes[name], from) end
  end
end

local function not_in_transcript(self, name)
  return name == "hello_request" or is_13(self) and (name == "new_session_ticket" or name == "key_update")
end

--- The codec's options for a message of one side's at this point.
function script_peer.context_of(self, from, name)
  local k = self.keys
  local hello = name == "client_hello" or name == "server_hello" or name == "hello_retry_request"
  return { what = "handshake", from = from, version = not hello and k.version or nil, suite = not hello and k.suite or nil }
end

--- A handshake message's name and table, as they are to be read at this point.
function script_peer.decode(self, from, bytes)
  local name = trace.message_name(bytes)
  return name, wire.decode(bytes, script_peer.context_of(self, from, name))
end

--- Puts a message into the transcript and notes what follows from it.
function script_peer.note(self, from, name, bytes, msg)
  self.transcript[#self.transcript + 1] = bytes
  if readers[name] then readers[name](self, bytes, msg) end
  advance(self, from, name)
end

local function took(self, from, bytes)
  local name, msg = script_peer.decode(self, from, bytes)
  if not self.automatic then return name, msg end
  if not not_in_transcript(self, name) then
    script_peer.note(self, from, name, bytes, msg)
  elseif name == "key_update" then -- RFC 8446 §7.2
    local k = self.keys
    local secret = from .. "_application_traffic"
    k[secret] = k:expand_label(k[secret], "traffic upd", "")
    protect(self, from, k[secret])
  end
  return name, msg
end

-- ---- sending
-- ------------------------------------------------------------------------------------------------------------------------------

--- Bytes as records of one content type, under the write protection of the moment; they go out with the next receive, or at the end.
function Peer:send_records(content_type, bytes)
  local kind = content_numbers[content_type] or content_type
  if math.type(kind) ~= "integer" or kind < 0 or kind > 255 then error("no content type '" .. tostring(content_type) .. "'", 2) end
  misuse.want("peer:send: 'bytes'", "string", "bytes", bytes)
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
  local bytes = m
  if type(m) == "table" then
    local ok
    ok, bytes = pcall(wire.encode, m, script_peer.context_of(self, self.role, m.type))
    if not ok then error("peer:send: " .. bytes, 2) end -- a tail call of peer:send: its caller
  end
  if self.unkeyed and not self.write then error("peer:send: " .. self.unkeyed, 2) end
  -- A message goes out under the keys before it; what it changes comes after.
  self:send_records("handshake", bytes)
  if #bytes >= 4 then took(self, self.role, bytes) end
  return bytes
end

--- ChangeCipherSpec; in TLS 1.2 and before what is written afterwards is protected. In TLS 1.3 it goes out in the clear (RFC 8446 §5).
function Peer:change_cipher_spec()
  if is_13(self) then
    self.out[#self.out + 1] = "\20\3\3\0\1\1"
    return
  end
  self:send_records("change_cipher_spec", "\1")
  if self.automatic and self.keys.version then self.write = self.keys:protection(self.role) end
end

--- Sends a message (a table, or bytes with their header), "change_cipher_spec", { alert = name, level = }, { data = bytes }, { raw = bytes } (record bytes), or
-- { content_type =, bytes = }. Returns the bytes of a message.
function Peer:send(m)
  if type(m) == "string" and m ~= "change_cipher_spec" then return send_message(self, m) end
  if m == "change_cipher_spec" or type(m) == "table" and m.type == "change_cipher_spec" then return self:change_cipher_spec() end
  if type(m) ~= "table" then error("peer:send: a message, bytes or a table expected, got " .. type(m), 2) end
  if m.alert then
    local number = type(m.alert) == "string" and core.alert_number(m.alert) or m.alert
    if math.type(number) ~= "integer" or number < 0 or number > 255 then error("peer:send: no alert '" .. tostring(m.alert) .. "'", 2) end
    local level = (m.level == "warning" or m.level == nil and number == 0) and 1 or 2
    return self:send_records("alert", string.char(level, number))
  end
  if m.data then return self:send_records("application_data", misuse.want("peer:send: 'data'", "string", "bytes", m.data)) end
  if m.content_type then return self:send_records(m.content_type, m.bytes) end -- a tail call: its caller is this one's
  if m.raw and not m.type then
    misuse.want("peer:send: 'raw'", "string", "bytes", m.raw)
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

-- A record's plaintext: what it says, or nil when it is only part of something.
local function plain_item(self, kind, plain)
  if kind == 22 then
    self.assembly = self.assembly .. plain
    return nil
  elseif kind == 21 then
    local level, what = plain:byte(1, 2)
    return { kind = what == 0 and "close" or "alert", name = what and (core.alert_name(what) or what) or "that is cut off",
      level = level == 1 and "warning" or level == 2 and "fatal" or level, bytes = plain }
  elseif kind == 20 then
    if is_13(self) then return nil end -- RFC 8446 §5: it says nothing
    if self.automatic and self.keys.version then
      keyed(self, function() self.read = self.keys:protection(other[self.role], true) end)
    end
    return { kind = "change_cipher_spec", name = "change_cipher_spec", bytes = plain }
  elseif kind == 23 then
    return { kind = "data", name = "data", bytes = plain }
  end
  return { kind = "record", name = "record", content_type = kind, bytes = plain }
end

-- In TLS 1.3 a ChangeCipherSpec is never protected, and an alert of a peer that has no keys yet is not.
local function in_the_clear(self, r) return is_13(self) and (r.type == 20 or r.type == 21 and #r.fragment == 2) end

local function open_record(self, r)
  if self.unkeyed and not self.read and not in_the_clear(self, r) then
    return { kind = "record", name = "record", content_type = r.type, bytes = r.bytes, why = self.unkeyed }
  end
  if not self.read or in_the_clear(self, r) then return plain_item(self, r.type, r.fragment) end
  local plain, kind = self.read:open(r.bytes)
  if plain then
    self.has_opened = true
    return plain_item(self, kind, plain)
  end
  -- RFC 8446 §4.2.10: early data that is refused is passed over
  if self.role == "server" and self.early and self.early ~= "accepted" and not self.has_opened and r.type == 23 then return nil end
  unreadable({ kind = "record", name = "record", content_type = r.type, bytes = r.bytes }, "a record does not open: %s", kind)
end

-- More bytes from the transport: true; or nil, "timeout".
local function wait(self, timeout, deadline)
  if deadline then
    timeout = deadline - self.now()
    if timeout <= 0 then return nil, "timeout" end
  end
  local bytes, why = coroutine.yield(table.concat(self.out), timeout)
  self.out = {}
  if bytes == nil and why == "timeout" then return nil, "timeout" end
  if bytes == nil then
    self.ended, self.ended_why = true, why
  else
    self.deframer:feed(bytes)
    self.deframer:keep()
  end
  return true
end

local function next_item(self, timeout)
  local deadline = timeout and self.now and self.now() + timeout or nil
  while true do
    local item = take_assembled(self)
    if item then return item end
    local plain = table.remove(self.opened, 1)
    if plain then
      item = plain_item(self, plain.type, plain.bytes)
      if item then return item end
    else
      local r, text = self.deframer:next()
      if not r and text then unreadable({ kind = "bytes", name = "bytes", bytes = self.deframer:rest() }, "%s", text) end
      if r then
        item = open_record(self, r)
        if item then return item end
      elseif self.ended then
        return { kind = "close", name = "end", why = self.ended_why, bytes = "" }
      else
        local more, why = wait(self, timeout, deadline)
        if not more then return nil, why end
      end
    end
  end
end

local function timeout_of(o, level)
  if o == nil then return nil end
  if type(o) ~= "table" then error("a table of options expected, got " .. type(o), level + 1) end
  for name in pairs(o) do
    if name ~= "timeout" then error(("unknown option '%s'"):format(tostring(name)), level + 1) end
  end
  if o.timeout ~= nil and (type(o.timeout) ~= "number" or o.timeout < 0) then error("option 'timeout': seconds expected", level + 1) end
  return o.timeout
end

--- What comes next: { kind = "message" | "alert" | "change_cipher_spec" | "data" | "close" | "record", name, message, bytes, … }; nil, "timeout" when
-- o.timeout seconds have passed (where the transport can tell).
function Peer:receive(o)
  local timeout = timeout_of(o, 2)
  if #self.items > 0 then return table.remove(self.items, 1) end
  return next_item(self, timeout)
end

-- ---- expecting
-- -----------------------------------------------------------------------------------------------------------------------------

local kinds = { data = true, close = true, alert = true, change_cipher_spec = true }

local function is(item, name)
  if not item then return false end
  if kinds[name] then return item.kind == name end
  return item.kind == "message" and (name == "*" or item.name == name)
end

-- Checked, and as items carry it: "ServerHello" is taken for "server_hello", as wire.number takes it.
local function known_name(name, level)
  if type(name) ~= "string" then error("the name of a message expected, or \"*\"", level + 1) end
  if name ~= "*" and not kinds[name] and name ~= "hello_retry_request" and not wire.number("handshake_types", name) and
    not name:find "^message_%d+$" then
    error("no message '" .. name .. "'", level + 1)
  end
  local number = name ~= "hello_retry_request" and not kinds[name] and wire.number("handshake_types", name)
  return number and wire.name("handshake_types", number) or name
end

-- What came, in words.
local function describe(item, why, timeout)
  if not item and why == "timeout" then return timeout and ("nothing came within %g s"):format(timeout) or "nothing came: the peer waits" end
  if item.kind == "alert" then return ("alert %s (%s) came"):format(item.name, item.level) end
  if item.kind == "close" and item.name == "end" then
    return "the transport ended" .. (item.why and item.why ~= "closed" and " (" .. tostring(item.why) .. ")" or "")
  end
  if item.kind == "close" then return "close_notify came" end
  if item.kind == "message" then return ("%s came"):format(item.name) end
  if item.kind == "data" then return ("%d bytes of application data came"):format(#item.bytes) end
  if item.kind == "record" then return ("a record of type %d came%s"):format(item.content_type, item.why and ", which stays closed: " .. item.why or "") end
  return item.name .. " came"
end

local function not_what(expected, item, why, timeout)
  stop_with { code = not item and "timeout" or "unexpected", message = ("%s expected, %s"):format(expected, describe(item, why, timeout)), expected = expected,
    item = item, alert = item and item.kind == "alert" and item.name or nil, origin = item and item.kind == "alert" and "peer" or "local" }
end

local function result(item)
  if item.kind == "message" then return item.message, item end
  if item.kind == "data" then return item.bytes, item end
  return item.name, item
end

--- The message of this name, or "change_cipher_spec", "data", "alert", "close"; "*": any message. Anything else ends the script: `unexpected`, or `timeout`, with
-- what came in its failure's item.
function Peer:expect(name, o)
  name = known_name(name, 2)
  timeout_of(o, 2)
  local item, why = self:receive(o)
  if not is(item, name) then not_what(name, item, why, o and o.timeout) end
  return result(item)
end

--- The same, but what is not it stays to be received: nil and the item; nil, nil, "timeout" when nothing came. name may be a function(peer), too, which may expect
-- what it likes: what it returns, or nil and the failure that ended it (what it has received is gone).
function Peer:try(name, o)
  if type(name) == "function" then
    local got = table.pack(pcall(name, self))
    if got[1] then return table.unpack(got, 2, got.n) end
    if getmetatable(got[2]) ~= Stop then error(got[2], 0) end
    return nil, got[2]
  end
  name = known_name(name, 2)
  timeout_of(o, 2)
  local item, why = self:receive(o)
  if is(item, name) then return result(item) end
  if not item then return nil, nil, why end
  table.insert(self.items, 1, item)
  return nil, item
end

--- A fatal or warning alert; of this description when one is given (a name or a number).
function Peer:expect_alert(name, o)
  if math.type(name) == "integer" then name = core.alert_name(name) or name
  elseif name ~= nil and (type(name) ~= "string" or not core.alert_number(name)) then error("peer:expect_alert: no alert '" .. tostring(name) .. "'", 2) end
  timeout_of(o, 2)
  local item, why = self:receive(o)
  if not item or item.kind ~= "alert" or name and item.name ~= name then
    not_what(name and "alert " .. name or "an alert", item, why, o and o.timeout)
  end
  return item.name, item
end

--- close_notify, or the end of the transport: the item's name tells which ("close_notify", "end").
function Peer:expect_close(o)
  timeout_of(o, 2)
  local item, why = self:receive(o)
  if not item or item.kind ~= "close" then not_what("a close", item, why, o and o.timeout) end
  return true, item
end

return script_peer
