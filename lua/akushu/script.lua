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
--     peer:engine(hs, { before = name })   an engine's handshake of this role speaks until it would send the message of that name; or after = name
--     peer:steps(hs)            the same one message at a time (script_engine.lua)
--     peer:client_hello{…}  peer:server_hello{…}  peer:share(group)  peer:finished()  peer:premaster_for(certificate message)
--     peer:certificate(identity)  peer:certificate_verify(key)  peer:server_key_exchange{…}  peer:client_key_exchange{…}  peer:bind(hello, psks)   (script_auth.lua)
local script_peer = require "akushu.script_peer"
local misuse = require "akushu.misuse"
require "akushu.script_messages"
require "akushu.script_auth"
require "akushu.script_engine"

local script = {}

local Script = { __name = "akushu.Script" }
Script.__index = Script
Script.__tostring = function(self) return ("akushu.Script (%s)"):format(self.role) end

--- akushu.script(role, function(peer) … end [, { lab = }]).
function script.new(role, fn, o)
  if role ~= "client" and role ~= "server" then error("akushu.script: the role is \"client\" or \"server\"", 2) end
  misuse.want("akushu.script", "function", "a function", fn, 2)
  o = misuse.options("akushu.script", { lab = true }, o, 2)
  if o.lab ~= nil and (type(o.lab) ~= "table" or (getmetatable(o.lab) or {}).__name ~= "akushu.Lab") then misuse.expected("akushu.script: option 'lab'", "a lab", o.lab) end
  return setmetatable({ role = role, fn = fn, options = o }, Script)
end

-- ---- transports --------------------------------------------------------------------------------------------------------------------

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

local SOCKET_TIMEOUT = 10 -- seconds, where the script says nothing

local function socket_transport(s)
  local t = {}
  local known, socket = pcall(require, "socket")
  if known then t.now = socket.gettime end
  -- What a peer that is gone does not take is no error: what it has said before it went is still to be read.
  function t.send(bytes)
    s:settimeout(SOCKET_TIMEOUT)
    local at = 1
    while at <= #bytes do
      local last, why, part = s:send(bytes, at)
      if not last and (part or 0) < at then return nil, why end
      at = (last or part) + 1
    end
    return true
  end
  function t.receive(timeout)
    s:settimeout(timeout or SOCKET_TIMEOUT)
    local first, why, part = s:receive(1)
    if not first and (part or "") == "" then return nil, why end
    s:settimeout(0)
    local rest, _, some = s:receive(65536)
    return (first or part) .. (rest or some or "")
  end
  return t
end

local function transport_of(x, role, o)
  local class = type(x) == "userdata" and (getmetatable(x) or {}).__name
  if class == "akushu.Handshake" then
    if x.role == role then error(("script:run: this script is the %s, and the handshake is a %s's, too"):format(role, role), 3) end
    return engine_transport(x, o.app)
  end
  if type(x) == "table" and x.send and x.receive and not x.settimeout then return x end
  if (type(x) == "userdata" and class ~= "akushu.Session" or type(x) == "table") and x.settimeout then return socket_transport(x) end
  misuse.expected("script:run", "a handshake, a socket, or { send =, receive = }", x, 3)
end

-- ---- running ----------------------------------------------------------------------------------------------------------------------------------

local function failed(failure)
  if getmetatable(failure) ~= script_peer.Stop then
    failure = setmetatable({ code = "script_failed", origin = "local", message = tostring(failure), error = failure }, script_peer.Stop)
  end
  return nil, failure.message, failure
end

--- Runs the script over a transport: an engine's Handshake of the other role (in memory; o.app: function(plain) → what its
-- application answers), a LuaSocket TCP object, or { send = function(bytes), receive = function(timeout) → bytes, or nil and
-- "timeout" or "closed", now = function() → seconds (optional: for timeouts that hold whatever trickles in) }. Returns what the script returned (true when nothing), or nil,
-- message, failure: code `unexpected`, `timeout`, `bad_record`, one of the engine's, or `script_failed` with what it raised in failure.error.
function Script:run(transport, o)
  o = misuse.options("script:run", { app = { "callable", "a function" } }, o)
  local t = transport_of(transport, self.role, o)
  local peer = script_peer.new(self.role, self.options)
  peer.now = t.now
  self.peer = peer
  local co = coroutine.create(self.fn)
  if t.start then t.start() end
  local got = table.pack(coroutine.resume(co, peer))
  while got[1] and coroutine.status(co) ~= "dead" do
    if got[2] and #got[2] > 0 then t.send(got[2]) end
    got = table.pack(coroutine.resume(co, t.receive(got[3])))
  end
  if #peer.out > 0 then t.send(table.concat(peer.out)) end
  if not got[1] then return failed(got[2]) end
  if got.n == 1 or got[2] == nil then return true end
  return table.unpack(got, 2, got.n)
end

return script
