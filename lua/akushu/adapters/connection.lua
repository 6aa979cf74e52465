--- A connection: the loop between a Handshake, its Session and whatever moves bytes. What all of akushu.adapters share; each of them brings a transport:
--
--   transport:read(deadline)             bytes, at least one; "" at the end of the stream; or nil, message ("timeout": the deadline has passed)
--   transport:write(bytes, at, deadline) true once all from index at on is out; or nil, message, the index of the last byte that is
--   transport:shutdown()                 the end of what we send
--   transport:close()
--   transport:now()                      seconds, of the clock that deadlines are told in (nil: none)
--   transport.delegated                  names of the inner object's methods that a connection passes on: [name] = true
--   transport.whom                       which of them tells who the peer is; that is known of a handshake that has failed, too, whose socket is closed (nil: none does)
--   transport.inner                      that object
--
-- read and write may yield: they are where an event loop comes in. Hooks and questions yield wherever a method of the connection was called.
local core = require "akushu.core"
local Inbox = require "akushu.adapters.inbox"
local blame = require("akushu.misuse").blame
local meant = require "akushu.meant"
local pump = require "akushu.adapters.pump"
local failure, closed, over, deadline_of, fill, put, sent = pump.failure, pump.closed, pump.over, pump.deadline_of, pump.fill, pump.put, pump.sent

local Connection = { __name = "akushu.Connection" }
local methods = {}

-- What a connection shows of its session, or of its handshake as long as there is no session.
local properties = {}
for name in ([[version suite group scheme own_scheme extended_master_secret encrypt_then_mac resumed server_name alpn peer report session_id client_random
  server_random ocsp_response scts role secure_renegotiation hello_retry client_finished early_data early_data_reason ticket_age_skew server_finished
  psk_identity]]):gmatch "%S+" do
  properties[name] = true
end

function Connection.__index(self, name)
  local method = methods[name]
  if method then return method end
  if properties[name] then
    local of = rawget(self, "session") or rawget(self, "hs")
    return of and of[name]
  end
  local transport = rawget(self, "transport")
  if not transport.delegated[name] then return nil end
  return function(_, ...)
    local inner, peer = transport.inner, rawget(self, "peer_name")
    if peer and name == transport.whom and rawget(self, "gone") then return table.unpack(peer, 1, peer.n) end
    return inner[name](inner, ...)
  end
end

function Connection:__tostring()
  return ("akushu.Connection (%s, %s)"):format(self.context.role, self.session and self.session.state or self.failure and "failed" or "handshake")
end

-- ---- making one ----------------------------------------------------------------------------------------------------------------

local of_handshake = { server_name = true, session = true, hooks = true }
local known = { server_name = true, session = true, hooks = true, timeout = true, linger = true, handshake_timeout = true, on_step = true, early_data = true }

local function seconds(name, value)
  if value ~= nil and (type(value) ~= "number" or value ~= value or value < 0) then
    error(("option '%s': seconds expected, or nil: as long as it takes"):format(name), 0)
  end
  return value
end

local function callable(name, value)
  if value ~= nil and type(value) ~= "function" then error(("option '%s': a function expected, got %s"):format(name, type(value)), 0) end
  return value
end

-- The fields that options set; what belongs to the handshake goes into a table of its own.
local function read_options(o)
  local fields, handshake = { linger = 2, handshake_timeout = 30 }, {}
  if o ~= nil and type(o) ~= "table" then error("a table of options expected, got " .. type(o), 0) end
  for name, value in pairs(o or {}) do
    if of_handshake[name] then handshake[name] = value
    elseif name == "timeout" or name == "linger" then fields[name] = seconds(name, value)
    elseif name == "handshake_timeout" then fields[name] = value ~= false and seconds(name, value) or nil
    elseif name == "on_step" then fields[name] = callable(name, value)
    elseif name == "early_data" and type(value) == "string" then fields.early = value
    elseif name == "early_data" then error("option 'early_data': a string expected, got " .. type(value), 0)
    else error(("unknown option '%s'%s"):format(tostring(name), meant(name, known)), 0) end
  end
  return fields, handshake
end

local function check_context(context)
  if type(context) ~= "userdata" or getmetatable(context).__name ~= "akushu.Context" then error("a context expected (akushu.client, akushu.server), got " .. type(context), 0) end
end

local function new(transport, context, o)
  local self, of = read_options(o)
  check_context(context)
  if self.early and context.role ~= "client" then error("option 'early_data' is a client's", 0) end
  local ok, hs, message, why = pcall(context.handshake, context, of) -- called by no function of Lua's, it names no line: that of the caller's comes
  if not ok then error(hs, 0) end
  if not hs then return nil, message, why end
  self.hs, self.early_taken = hs, {}
  self.transport, self.context, self.hooks, self.inbox, self.outbox, self.out_at = transport, context, of.hooks, Inbox.new(), {}, 1
  return setmetatable(self, Connection)
end

local connection = { class = Connection, methods = methods, properties = properties }

--- A connection over a transport, before its handshake. o: server_name, session, hooks (as of context:handshake), timeout, handshake_timeout, linger (seconds),
-- early_data, on_step. Misuse is the caller's caller's.
function connection.new(transport, context, o)
  local conn, message, why = blame(3, new, transport, context, o)
  return conn, message, why
end

--- A function(inner object, …) for who accepts connections: wraps it, shakes hands, calls fn(connection, …), and closes it whatever happens. o.on_failure: function(message,
-- failure, connection) for handshakes that fail.
function connection.handler(wrap, context, fn, o)
  if type(fn) ~= "function" then error("a function expected, got " .. type(fn), 3) end
  local on_failure, options = nil, {}
  for name, value in pairs(o or {}) do
    if name == "on_failure" then on_failure = blame(3, callable, name, value) else options[name] = value end
  end
  blame(3, read_options, options)
  local function serve(conn, ...)
    local ok, message, why = conn:handshake()
    if ok then return fn(conn, ...) end
    if on_failure then on_failure(message, why, conn) end
    return nil, message, why
  end
  local function finish(conn, ok, ...)
    conn:close()
    if not ok then error((...), 0) end
    return ...
  end
  -- Not <close>: that of a coroutine that dies of an error waits for somebody to call coroutine.close.
  return function(inner, ...)
    local conn = assert(wrap(inner, context, options))
    return finish(conn, pcall(serve, conn, ...))
  end
end

-- ---- connecting ----------------------------------------------------------------------------------------------------------------

local function with_name(host, o)
  if o ~= nil and type(o) ~= "table" then return o end -- whoever reads the options says what that is
  local options = { server_name = host }
  for name, value in pairs(o or {}) do options[name] = value end
  return options
end

--- For who will connect, to a host not known yet: the options, looked at before they are needed (what is wrong raises with no line), in a table of their own.
function connection.options_of_client(context, o)
  read_options(o)
  check_context(context)
  if context.role ~= "client" then error("a client's context expected (akushu.client), got a server's", 0) end
  return with_name(nil, o)
end

--- For who connects: a connection with the host as server_name unless the options name one. Misuse is the caller's caller's; a host that no name could be is none: it may have
-- come from anywhere.
function connection.towards(host, port, transport, context, o)
  if type(host) ~= "string" then error("connect: a host expected (a name or an address), got " .. type(host), 3) end
  if type(port) ~= "number" and type(port) ~= "string" then error("connect: a port expected, got " .. type(port), 3) end
  if not core.host_name(host) and not (type(o) == "table" and o.server_name) then
    local shown = host:sub(1, 100):gsub("%c", "?")
    local why = failure({}, "bad_host_name", ("'%s' is not a host name or address (no port, no https://, no letters but ASCII's: xn--…)"):format(shown))
    why.state = "connect"
    return nil, why.message, why
  end
  local conn, message, why = blame(3, new, transport, context, with_name(host, o))
  return conn, message, why
end

--- How long connecting may take, in seconds, or nil.
function connection.patience(conn)
  local a, b = conn.timeout, conn.handshake_timeout
  return a and b and math.min(a, b) or a or b
end

--- For who connects: when there is no inner object; nil, message, failure.
function connection.not_connected(conn, message)
  local why = message == "timeout" and failure(conn, "timeout", message) or pump.transport_failure(conn, message)
  why.state = "connect"
  return nil, why.message, why
end

--- Shakes hands over the inner object that a connection's transport was waiting for: the connection; or nil, message, failure.
function connection.connected(conn, inner)
  conn.transport.inner = inner
  local ok, message, why = conn:handshake()
  if ok then return conn end
  conn:close()
  return nil, message, why
end

-- ---- one at a time --------------------------------------------------------------------------------------------------------------

local function leave(self, what, ok, ...)
  self[what] = false
  if not ok then error((...), 0) end
  return ...
end

-- One coroutine may send while another one receives; two that do the same would tear each other's bytes apart.
local function alone(self, what, fn, ...)
  if self[what] then error("another coroutine is " .. what .. " on this connection", 2) end
  self[what] = true
  return leave(self, what, pcall(fn, self, ...))
end

--- Shakes hands. true; or nil, message, failure: after a timeout of the call (failure.want) it goes on when called again, any other failure is the end, the peer has
-- been told why, and the transport is closed.
function methods:handshake()
  if self.session then return true end
  if self.failure then return over(self) end
  if self.gone then return closed(self) end
  return alone(self, "shaking hands", pump.take_over, deadline_of(self))
end

-- Of send and receive: both begin with the handshake when nobody else has.
local function ready(self)
  if self.session then return true end
  return self:handshake()
end

-- ---- receiving -----------------------------------------------------------------------------------------------------------------

-- What a call that cannot have what it wants returns; at the end of the connection with what is left.
local function without(self, message, why)
  if why.want then return nil, message, why end
  return nil, message, why, self.inbox:take(self.inbox.size)
end

local function too_long(self, most)
  local message = ("more than %d bytes, and no end of it"):format(most)
  return nil, message, failure(self, "too_long", message)
end

local function read_count(self, n, deadline)
  while self.inbox.size < n do
    local ok, message, why = fill(self, deadline)
    if not ok then return without(self, message, why) end
  end
  return self.inbox:take(n)
end

local function read_to(self, mark, most, deadline)
  while true do
    local n = self.inbox:find(mark)
    if (n or self.inbox.size) > most then return too_long(self, most) end
    if n then return self.inbox:take(n) end
    local ok, message, why = fill(self, deadline)
    if not ok then return without(self, message, why) end
  end
end

local function read_line(self, most, deadline)
  local line, message, why, rest = read_to(self, "\n", most, deadline)
  if not line then return nil, message, why, rest end
  return (line:gsub("\r?\n$", ""))
end

local function read_all(self, most, deadline)
  while self.inbox.size <= most do
    local ok, message, why = fill(self, deadline)
    if not ok then
      if why.code == "closed" then return self.inbox:take(self.inbox.size) end
      return without(self, message, why)
    end
  end
  return too_long(self, most)
end

local function read_some(self, most, deadline)
  while self.inbox.size == 0 do
    local ok, message, why = fill(self, deadline)
    if not ok then return without(self, message, why) end
  end
  return self.inbox:take(math.min(most, self.inbox.size))
end

local most_in_a_line = 65536

local function count(what, n, by_default, level)
  if n == nil then return by_default end
  if math.type(n) == "float" then n = math.tointeger(n) or n end
  if math.type(n) ~= "integer" or n < 0 then error(what .. ": a number of bytes expected", level + 1) end
  return n
end

local function receive(self, fn, ...)
  local ok, message, why = ready(self)
  if not ok then return nil, message, why end
  return alone(self, "receiving", fn, ...)
end

--- "*l" (the default): a line without its end; "*a": all until close_notify; a number: so many bytes. most: how many bytes a line (65536) or all (any number, as LuaSocket's
-- users expect) may have.
-- nil, message, failure [, what is left at the end]. After "timeout" nothing is lost: the next call goes on with what has come.
function methods:receive(pattern, most)
  if pattern == nil then pattern = "*l" end
  if type(pattern) == "number" then
    local n, inbox = count("receive", pattern, nil, 2), self.inbox
    if n <= inbox.size and self.session and not self.receiving then return inbox:take(n) end -- it is here already
    return receive(self, read_count, n, deadline_of(self))
  end
  if pattern == "*l" or pattern == "l" then return receive(self, read_line, count("most", most, most_in_a_line, 2), deadline_of(self)) end
  if pattern == "*a" or pattern == "a" then return receive(self, read_all, count("most", most, math.maxinteger, 2), deadline_of(self)) end
  error('receive: "*l", "*a" or a number of bytes expected', 2)
end

--- All up to and with a mark, a plain string; most: how long that may be (65536).
function methods:receive_until(mark, most)
  if type(mark) ~= "string" or mark == "" then error("receive_until: a string expected", 2) end
  return receive(self, read_to, mark, count("most", most, most_in_a_line, 2), deadline_of(self))
end

--- What has come: at least one byte, at most `most` (16384).
function methods:receive_some(most)
  most = count("most", most, 16384, 2)
  if most == 0 then error("most: at least 1", 2) end
  return receive(self, read_some, most, deadline_of(self))
end

-- ---- sending -------------------------------------------------------------------------------------------------------------------

local chunk = 65536 -- as much as is protected at a time, and waits to be sent

local function seal(self, data)
  if self.stepping then return self.hs:send(data) end -- before the handshake is done: where hs.may_send
  if self.failure then return over(self) end
  if self.gone or not self.session then return closed(self) end
  return self.session:seal(data)
end

local function send(self, data, i, j, deadline)
  local ok, message, why = sent(self, deadline)
  while ok and i <= j do
    local last = math.min(j, i + chunk - 1)
    local bytes
    bytes, message, why = seal(self, i == 1 and last == #data and data or data:sub(i, last))
    if not bytes then return nil, message, why, i - 1 end
    put(self, bytes)
    i = last + 1
    ok, message, why = sent(self, deadline, i <= j)
  end
  if not ok then return nil, message, why, i - 1 end
  return i - 1
end

--- Sends data (a string, or an array of strings), or its bytes from i to j. The index of the last byte; or nil, message, failure, the index of the last byte that was
-- taken: after "timeout" go on behind it; when that is all, send(data, #data + 1) or flush sends the rest of what was taken.
function methods:send(data, i, j)
  local bytes = core.bytes(data)
  if not bytes then error("send: a string expected, or an array of strings, got " .. (type(data) == "table" and "a table with something else in it" or type(data)), 2) end
  data = bytes
  i, j = i or 1, j or -1
  if i < 0 then i = math.max(#data + i + 1, 1) elseif i == 0 then i = 1 end
  if j < 0 then j = #data + j + 1 elseif j > #data then j = #data end
  if not self.stepping then
    local ok, message, why = ready(self)
    if not ok then return nil, message, why, i - 1 end
  end
  return alone(self, "sending", send, data, i, j, deadline_of(self))
end

--- Sends what a call has left behind that a timeout has ended: true; or nil, message, failure.
function methods:flush()
  if self.failure then return over(self) end
  return sent(self, deadline_of(self))
end

-- Methods of the session that return bytes for the peer.
for _, name in ipairs { "update_keys", "request_certificate", "alert", "close_write" } do
  methods[name] = function(self, ...)
    local ok, message, why = ready(self)
    if not ok then return nil, message, why end
    local bytes
    bytes, message, why = self.session[name](self.session, ...)
    if not bytes then return nil, message, why end
    put(self, bytes)
    return sent(self, deadline_of(self))
  end
end

--- The polite end: close_notify (the keys are gone then), the rest drained until the peer has left too (for at most `linger` seconds), the transport closed. In a
-- handshake: user_canceled.
function methods:close()
  if self.gone then return true end
  local bytes
  if self.session then bytes = self.session:close()
  elseif self.started and not self.failure then bytes = self.hs:abort() end
  self.reading = self.receiving or self["shaking hands"]
  if self.flushing then pump.release(self) else pump.farewell(self, bytes) end -- who is still sending is cut off
  return true
end

-- ---- about it ------------------------------------------------------------------------------------------------------------------

--- How long each call may take from now on, in seconds; nil: as long as it takes; 0: it never waits.
function methods:settimeout(timeout)
  self.timeout = blame(2, seconds, "timeout", timeout)
  return true
end

--- What the last call waited for when its time was over: "read" or "write"; nil: nothing.
function methods:want() return self.wanted end

--- Whether something, be it the end, can be received without waiting for the peer. socket.select asks it.
function methods:dirty()
  if self.inbox.size > 0 or self.fresh or self.gone or self.session and not pump.readable[self.session.state] then return true end
  return self.transport.dirty ~= nil and self.transport:dirty()
end

--- How many bytes wait to be sent, since a timeout has ended the call that wanted to.
function methods:unsent()
  local n = 1 - self.out_at
  for _, bytes in ipairs(self.outbox) do n = n + #bytes end
  return math.max(n, 0)
end

--- A server: the client's early data so far, once; it may be a replay. It is no part of what is received.
function methods:take_early_data()
  local data = table.concat(self.early_taken)
  self.early_taken = {}
  return data
end

--- What the next connection resumes this session with; or nil, message, failure.
function methods:resumption()
  if self.session then return self.session:resumption() end
  return nil, "not ready", failure(self, "not_ready", "not ready")
end

Connection.__close = methods.close

return connection
