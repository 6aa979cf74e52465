--- The passive peer: reads a recorded connection, both directions, with whatever key there is, and decrypts and decodes it: SSL 3.0 is
-- not read, TLS 1.0 to 1.3 are.
--
--     local p = passive.new { keylog = text }
--     p:feed("client", bytes) p:feed("server", bytes) …      in the order in which they were seen
--     p:finish()
--     print(p.trace)        p.data.client, p.data.server     application data
--     p.version, p.suite, p.resumed, p.problems (what could not be read, and why), p.finished.client / .server (verify_data found right)
--
-- Keys, any of them:
--     keylog       NSS key log lines, a string or a list
--     server_key   the server's RSA key, for RSA key exchange (PEM, DER, a PrivateKey, an akushu.crypto key, or a list)
--     premaster    pre-master secrets that may be the one (bytes or a list)
--     ephemeral    private key exchange values that may be one side's (bytes or a list)
--     master       master secrets by client random or session id (a table)
--     psk          pre-shared keys: bytes, or a table identity → bytes
--     sessions     a table in which what could be resumed is kept: give the same one to several connections
--
-- passive.pcap(bytes, keys) reads a whole capture.
local core = require "akushu.core"
local misuse = require "akushu.misuse"
local trace = require "akushu.trace"
local show = require "akushu.show"
local secrets = require "akushu.passive_secrets"
local tls12 = require "akushu.passive12"
local tls13 = require "akushu.passive13"
local wire, crypto, record = core.wire, core.crypto, core.record
local problem, transcript = secrets.problem, secrets.transcript

local passive = {}

local Passive = { __name = "akushu.PassivePeer" }

-- p.data: { client =, server = }: all application data so far; put together when it is asked for, as a recording may hold a lot of it.
Passive.__index = function(self, name)
  if name ~= "data" then return Passive[name] end
  local out = {}
  for _, from in ipairs { "client", "server" } do
    local parts = self.parts[from]
    if #parts > 1 then self.parts[from] = { table.concat(parts) } end
    out[from] = self.parts[from][1] or ""
  end
  return out
end
Passive.__tostring = function(self)
  return ("akushu.PassivePeer (%s, %s)"):format(self.version and "TLS " .. self.version or "no version yet", self.suite or "no suite yet")
end

local known_options = { keylog = true, server_key = true, premaster = true, ephemeral = true,
  master = { "table", "a table of master secrets by client random or session id" }, psk = true, sessions = { "table", "a table to keep them in" } }

-- Bytes, or a list of them: a list. level: as misuse.want's.
local function list_of_bytes(what, v, level)
  if v == nil then return {} end
  if type(v) == "string" then return { v } end
  misuse.want(what, "table", "bytes or a list of them", v, level + 1)
  for i, item in ipairs(v) do misuse.want(("%s[%d]"):format(what, i), "string", "bytes", item, level + 1) end
  return v
end

--- NSS key log lines as a table: label → client random (bytes) → secret.
function passive.keylog(text)
  local out = {}
  text = table.concat(list_of_bytes("keylog", text, 2), "\n")
  for line in text:gmatch "[^\r\n]+" do
    local label, random, secret = line:match "^(%S+)%s+(%x+)%s+(%x+)%s*$"
    if label and #random % 2 == 0 and #secret % 2 == 0 then -- or it was cut off while it was written
      out[label] = out[label] or {}
      out[label][show.from_hex(random)] = show.from_hex(secret)
    end
  end
  return out
end

-- RSA keys of servers, as akushu.crypto keys.
local function keys_of(v, level)
  local out = {}
  for i, k in ipairs(type(v) == "table" and v or { v }) do
    local class, message = misuse.kind(k), nil
    if class == "akushu.PrivateKey" then k, class = k:reveal "der", "string" end
    if class == "string" then k, message = crypto.key(k) end
    if message then error("passive.new: option 'server_key': " .. message, level + 1) end
    out[i] = misuse.want("passive.new: option 'server_key'", "akushu.crypto.key", "PEM, DER, a PrivateKey or a list of them", k, level + 1)
  end
  return out
end

-- Pre-shared keys: bytes (for any identity), or a table identity → bytes.
local function psks_of(v, level)
  if v == nil then return {} end
  if type(v) == "string" then return { v } end
  misuse.want("passive.new: option 'psk'", "table", "bytes, or a table of them by identity", v, level + 1)
  for name, key in pairs(v) do misuse.want(("passive.new: option 'psk': the key of %s"):format(tostring(name)), "string", "bytes", key, level + 1) end
  return v
end

local function new_side() return { deframer = record.deframer {}, assembly = "", pieces = {}, waiting = 0, wanted = 4 } end

--- A passive peer with these keys (see above).
function passive.new(keys)
  keys = misuse.options("passive.new", known_options, keys)
  local given = {}
  for _, name in ipairs { "keylog", "premaster", "ephemeral" } do given[name] = list_of_bytes(("passive.new: option '%s'"):format(name), keys[name], 2) end
  local self = setmetatable({ keylog = passive.keylog(given.keylog), server_keys = keys_of(keys.server_key, 2),
    premasters = given.premaster, ephemeral = given.ephemeral, masters = keys.master or {}, psks = psks_of(keys.psk, 2),
    sessions = keys.sessions or { ids = {}, tickets = {}, psks = {} }, trace = trace.new {}, problems = {}, parts = { client = {}, server = {} },
    client = new_side(), server = new_side(), finished = {}, messages = {}, phase = "client_hello", secrets = {}, handshakes = 0,
    requests = {}, answer = {}, handshake_transcript = "" }, Passive)
  self.sessions.ids, self.sessions.tickets, self.sessions.psks = self.sessions.ids or {}, self.sessions.tickets or {},
    self.sessions.psks or {}
  self.trace.secrets.observer = {}
  return self
end

-- ---- suites ----------------------------------------------------------------------------------------------------------------------

local suite_list

local function suite_named(name)
  if not suite_list then
    suite_list = {}
    for _, s in ipairs(crypto.suites()) do suite_list[s.name] = s end
  end
  return suite_list[name]
end

local version_names = { [0x0300] = "3.0", [0x0301] = "1.0", [0x0302] = "1.1", [0x0303] = "1.2", [0x0304] = "1.3" }

-- ---- messages --------------------------------------------------------------------------------------------------------------------

local function new_handshake(self)
  self.messages, self.server_share, self.next_keys, self.resumed, self.new_ticket = {}, nil, nil, nil, nil
  self.master, self.ems, self.etm, self.candidates = nil, nil, nil, nil
  self.handshakes = self.handshakes + 1
end

local function read_client_hello(self, msg, bytes)
  if self.phase ~= "client_hello_2" then new_handshake(self) end
  self.hello_bytes = bytes
  self.client_random, self.client_version = bytes:sub(7, 38), string.unpack(">I2", bytes, 5)
  self.offered_id = string.unpack("s1", bytes, 39)
  local exts = msg.extensions
  self.client_shares, self.offered_psks, self.offered_ticket = {}, nil, nil
  if not exts then return end
  local shares, psk, ticket, name = exts:find "key_share", exts:find "pre_shared_key", exts:find "session_ticket", exts:find "server_name"
  for _, s in ipairs(shares and type(shares.data) == "table" and shares.data.key_shares or
    {}) do self.client_shares[s.group] = s.key_exchange end
  if psk and type(psk.data) == "table" then
    self.offered_psks = {}
    for i, identity in ipairs(psk.data.identities) do self.offered_psks[i] = identity.identity end
  end
  if ticket then self.offered_ticket = type(ticket.data) == "string" and ticket.data or ticket.data.ticket or ticket.data.raw end
  self.early_offered = exts:find "early_data" ~= nil
  self.hello, self.server_name = msg, name and name.data
end

local function read_server_hello(self, msg, bytes)
  self.server_random = bytes:sub(7, 38)
  self.session_id = string.unpack("s1", bytes, 39)
  local at = 40 + #self.session_id
  local number = string.unpack(">I2", bytes, at)
  local version = string.unpack(">I2", bytes, 5)
  local exts = msg.extensions
  local selected = exts and exts:find "supported_versions"
  if selected then version = 0x0304 end
  self.version_number, self.version = version, version_names[version]
  self.suite = wire.name("suites", number) or ("suite %04x"):format(number)
  self.suite_info = suite_named(self.suite)
  if not self.suite_info then
    problem(self, "server", self.suite .. " is not among the suites that can be opened here")
    self.blind = true
  end
  self.ems = exts and exts:find "extended_master_secret" ~= nil or false
  self.etm = exts and exts:find "encrypt_then_mac" ~= nil or false
end

local handlers = {}

function handlers.client_hello(self, _, msg, bytes)
  read_client_hello(self, msg, bytes)
  self.phase = "server_flight"
end

function handlers.hello_retry_request(self, _, msg, bytes)
  read_server_hello(self, msg, bytes)
  if self.blind then return end
  local hash = crypto.digest(self.suite_info.prf, transcript(self))
  self.messages = { string.pack(">BI3", 254, #hash) .. hash } -- RFC 8446 §4.4.1
  self.phase = "client_hello_2"
end

function handlers.server_hello(self, _, msg, bytes)
  read_server_hello(self, msg, bytes)
  if self.version_number == 0x0304 then self.client.encrypted, self.server.encrypted = true, true end
  if self.version_number == 0x0304 and not self.blind then
    return function() tls13.handshake_keys(self, msg) end
  end
end

function handlers.encrypted_extensions(self, _, msg)
  self.early_accepted = msg.extensions and msg.extensions:find "early_data" ~= nil
end

function handlers.server_key_exchange(self, _, msg)
  local p = msg.params
  if type(p) ~= "table" then return end
  if p.named_curve then self.server_share = { group = p.named_curve, public = p.point } end
  if p.dh_ys then self.server_share = { p = p.dh_p, g = p.dh_g, public = p.dh_ys } end
end

function handlers.server_hello_done(self) self.phase = "client_flight" end

function handlers.client_key_exchange(self, _, msg)
  if self.blind then return nil end
  return function() tls12.client_key_exchange(self, msg) end
end

function handlers.new_session_ticket(self, _, msg)
  if self.version_number == 0x0304 then tls13.ticket(self, msg) else self.new_ticket = msg.ticket end
end

function handlers.end_of_early_data(self)
  return function() tls13.keyed(self, "client", self.client_handshake_secret) end
end

function handlers.key_update(self, from)
  return function() tls13.key_update(self, from) end
end

function handlers.certificate_request(self, _, _, bytes)
  if tls13.is_later(self, "certificate_request") then tls13.asked_later(self, bytes) end
end

function handlers.finished(self, from, _, bytes)
  if self.version_number == 0x0304 then
    if tls13.is_later(self, "finished") then return tls13.finished_later(self, bytes:sub(5)) end
    tls13.finished(self, from, bytes:sub(5))
    return function()
      if from == "server" then tls13.after_server_finished(self) else tls13.after_client_finished(self) end
    end
  end
  tls12.finished(self, from, bytes:sub(5))
  return function() tls12.after_finished(self, from) end
end

-- After the handshake in TLS 1.3, and HelloRequest, are in no transcript.
local function in_transcript(self, name)
  if name == "hello_request" then return false end
  return not (self.version_number == 0x0304 and (name == "new_session_ticket" or name == "key_update" or tls13.is_later(self, name)))
end

local function into_transcript(self, name, bytes)
  if in_transcript(self, name) then self.messages[#self.messages + 1] = bytes
  elseif tls13.is_later(self, name) then tls13.answered_later(self, name, bytes) end
end

local function message(self, from, bytes)
  local name = trace.message_name(bytes)
  local entry = self.trace:add { kind = "message", side = from, from = from, received = false, name = name, bytes = bytes,
    context = { what = "handshake", from = from, version = self.version_number, suite = self.suite_info and self.suite or nil } }
  if name == "client_hello" and self.phase ~= "client_hello_2" then self.messages = {} end
  local msg = entry.message
  local handler = handlers[name]
  if name == "client_hello" or name == "server_hello" or name == "hello_retry_request" then entry.context.version = nil end
  local ok, after
  if handler then
    ok, after = pcall(handler, self, from, msg, bytes)
    into_transcript(self, name, bytes)
    if ok and after then ok, after = pcall(after) end
    if not ok then problem(self, from, ("%s could not be followed: %s"):format(name, (tostring(after):gsub("^[^ ]*:%d+: ", "")))) end
  else
    into_transcript(self, name, bytes)
  end
end

-- Fragments are put together when a whole message is there, not one by one: a recording may cut a long one into very many.
local function assembled(self, from, fragment)
  local side = self[from]
  table.insert(side.pieces, fragment)
  side.waiting = side.waiting + #fragment
  if side.waiting < side.wanted then return end
  side.assembly = side.assembly .. table.concat(side.pieces)
  side.pieces = {}
  while #side.assembly >= 4 do
    local n = string.unpack(">I3", side.assembly, 2)
    if #side.assembly < 4 + n then break end
    local bytes = side.assembly:sub(1, 4 + n)
    side.assembly = side.assembly:sub(5 + n)
    message(self, from, bytes)
  end
  side.waiting = #side.assembly
  side.wanted = #side.assembly >= 4 and 4 + string.unpack(">I3", side.assembly, 2) or 4
end

local function alert(self, from, bytes)
  local level, what = bytes:byte(1, 2)
  self.trace:add { kind = "alert", side = from, from = from, level = level == 1 and "warning" or "fatal", description = what and
    core.alert_name(what) or
    tostring(what) }
  if #bytes == 2 and what == 0 then self[from].closed = true end
end

local function plaintext(self, from, kind, bytes)
  if kind == 22 then assembled(self, from, bytes)
  elseif kind == 21 then alert(self, from, bytes)
  elseif kind == 20 then
    self.trace:add { kind = "message", side = from, from = from, received = false, name = "change_cipher_spec", bytes = bytes }
    tls12.change_cipher_spec(self, from)
  elseif kind == 23 then
    if #bytes == 0 then return end
    table.insert(self.parts[from], bytes)
    self.trace:add { kind = "data", side = from, from = from, bytes = bytes }
  else
    problem(self, from, ("a record of type %d"):format(kind))
  end
end

local function one_record(self, from, r)
  local side = self[from]
  local entry = self.trace:add { kind = "record", side = from, from = from, received = false, type = ({ [20] = "change_cipher_spec", [21] = "alert",
    [22] = "handshake",
    [23] = "application_data" })[r.type] or r.type, bytes = r.bytes }
  local is_13 = self.version_number == 0x0304
  if is_13 and side.encrypted and r.type == 22 then return problem(self, from, "an unprotected record of the handshake after ServerHello") end
  if not side.encrypted or (is_13 and r.type ~= 23) then
    -- In TLS 1.3 a ChangeCipherSpec says nothing, and early data before its ServerHello waits for nothing either.
    if self.phase == "client_hello_2" and r.type == 23 then return problem(self, from, "early data that a HelloRetryRequest refused") end
    entry.readable = true
    return plaintext(self, from, r.type, r.fragment)
  end
  if side.choosing then tls12.choose(self, from, r.bytes) end
  if not side.protect then
    side.unread = (side.unread or 0) + 1
    return
  end
  local plain, kind = side.protect:open(r.bytes)
  if plain then
    entry.readable, entry.opened = true, true
    return plaintext(self, from, kind, plain)
  end
  if from == "client" and self.early_offered and not self.early_accepted and self.phase == "client_flight" then
    side.refused_early = (side.refused_early or 0) + 1
    return
  end
  problem(self, from, "a record does not open: " .. tostring(kind))
end

-- ---- order
-- -------------------------------------------------------------------------------------------------------------------------------------

-- Which side's next record makes sense now: recordings may hold the two directions in any order.
local turn = { client_hello = "client", client_hello_2 = "client", server_flight = "server", client_flight = "both",
  client_finish = "client",
  server_finish = "server", open = "both" }

local function may(self, from)
  local whose = turn[self.phase]
  if self.blind then return true end
  -- In TLS <= 1.2 the client's flight comes before the server goes on.
  if self.phase == "client_flight" and self.version_number ~= 0x0304 then return from == "client" end
  return whose == "both" or whose == from
end

local function next_record(self, from)
  local side = self[from]
  local r, text = side.deframer:next()
  if not r then
    if text and not side.broken then
      side.broken = true
      problem(self, from, text)
    end
    return nil
  end
  return r
end

local function work(self, everything)
  local moved
  repeat
    moved = false
    for _, from in ipairs { "client", "server" } do
      local side = self[from]
      while not side.broken and (everything or may(self, from)) do
        local r = next_record(self, from)
        if not r then break end
        one_record(self, from, r)
        moved = true
        if everything then break end
      end
    end
  until not moved
end

--- Bytes of one side's ("client" or "server") as they came.
function Passive:feed(from, bytes)
  if from ~= "client" and from ~= "server" then error("'client' or 'server' expected", 2) end
  misuse.want("feed", "string", "bytes", bytes)
  self[from].deframer:feed(bytes)
  self[from].deframer:keep()
  work(self, false)
  return self
end

--- Nothing more will come: what waited for the other side is read as well as it can be.
function Passive:finish()
  work(self, false)
  work(self, true)
  for _, from in ipairs { "client", "server" } do
    if self[from].unread then problem(self, from, ("%d records stay closed"):format(self[from].unread)) end
  end
  return self
end

--- One recorded connection: flows is a list of { from = "client" | "server", bytes = }.
function passive.read(flows, keys)
  misuse.want("passive.read", "table", "a list of { from =, bytes = }", flows)
  local p = misuse.blame(2, passive.new, keys)
  for i, f in ipairs(flows) do
    misuse.want(("passive.read: item %d"):format(i), "table", "{ from =, bytes = }", f)
    misuse.blame(2, p.feed, p, f.from, f.bytes)
  end
  return p:finish()
end

-- Whether the bytes of one side begin as a ClientHello does, however they were cut.
local function begins_with_hello(stream, from)
  local bytes = ""
  for _, part in ipairs(stream) do
    if part.from == from then bytes = bytes .. part.bytes end
    if #bytes >= 6 then break end
  end
  return bytes:byte() == 22 and bytes:byte(6) == 1
end

-- A recording that begins after the SYN does not tell who is who; the ClientHello does.
local function turned_round(stream)
  if not begins_with_hello(stream, "server") then return nil end
  local out = { client = stream.server, server = stream.client, gap = stream.gap and { client = stream.gap.server, server = stream.gap.client } }
  for i, part in ipairs(stream) do
    out[i] = { from = part.from == "client" and "server" or "client", bytes = part.bytes, time = part.time }
  end
  return out
end

--- A capture file (pcap or pcapng) with any number of connections: a list of passive peers that have read them, each with .address = {
-- client =, server = }. Connections in which no ClientHello is seen are left out. keys as for passive.new. nil, message, failure (code `bad_capture`): it is no capture.
function passive.pcap(bytes, keys)
  misuse.want("passive.pcap", "string", "the bytes of a capture", bytes)
  keys = misuse.options("passive.pcap", known_options, keys)
  misuse.blame(2, passive.new, keys) -- what is wrong with them is told even where the capture has no connection
  local streams, why, failure = require("akushu.pcap").streams(bytes)
  if not streams then return nil, why, failure end
  local out, with = {}, {}
  for k, v in pairs(keys) do with[k] = v end
  with.sessions = with.sessions or {}
  for _, s in ipairs(streams) do
    if not begins_with_hello(s, "client") then s = turned_round(s) end
    if s then
      local p = passive.read(s, with)
      p.address = { client = s.client, server = s.server }
      for _, from in ipairs { "client", "server" } do
        if s.gap and s.gap[from] then problem(p, from, "bytes are missing in the capture") end
      end
      out[#out + 1] = p
    end
  end
  return out
end

return passive
