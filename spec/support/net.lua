-- A Handshake and its Session over LuaSocket, blocking, with a deadline on everything: what specs use to meet real peers.
local peers = require "spec.support.peers"
local socket = require "socket"

local net = {}

local conn = {}
conn.__index = conn
conn.__close = function(self) self.sock:close() end

local function failure_of(code, message)
  return nil, message, { code = code, origin = "local", state = "transport" }
end

local function remaining(self)
  return math.max(self.deadline - socket.gettime(), 0)
end

-- Sends all of it before the deadline. What the peer says meanwhile is kept: two ends that only write would wait for each other.
local function write(self, bytes)
  local at = 1
  while at <= #bytes do
    local readers = not self.ended and { self.sock } or nil
    local readable, writable = socket.select(readers, { self.sock }, remaining(self))
    if readable[self.sock] then
      local data, err, partial = self.sock:receive(65536)
      data = data or partial
      if data and #data > 0 then self.inbox[#self.inbox + 1] = data end
      if err and err ~= "timeout" then self.ended = err end
    end
    if writable[self.sock] then
      local last, err, partial = self.sock:send(bytes, at)
      if not last and err ~= "timeout" then return failure_of("transport", err) end
      at = (last or partial) + 1
    elseif not readable[self.sock] then
      return failure_of("timeout", "nothing could be sent any more")
    end
  end
  return true
end

-- Whatever there is, at least one byte; "" at the end of the stream.
local function read(self)
  if #self.inbox > 0 then
    local data = table.concat(self.inbox)
    self.inbox = {}
    return data
  end
  while not self.ended do
    local readable = socket.select({ self.sock }, nil, remaining(self))
    if not readable[self.sock] then return failure_of("timeout", "the peer says nothing") end
    local data, err, partial = self.sock:receive(65536)
    data = data or partial
    if err and err ~= "timeout" then self.ended = err end
    if data and #data > 0 then return data end
  end
  if self.ended == "closed" then return "" end
  return failure_of("transport", self.ended)
end

-- Alert out, our sending side shut, the rest read (bounded) until the peer has left, so that it surely sees the alert.
local function farewell(self, bytes)
  if bytes and #bytes > 0 then write(self, bytes) end
  self.sock:shutdown "send"
  local drained = 0
  self.deadline = socket.gettime() + peers.patience
  while drained < 1048576 do
    local data = read(self)
    if not data or data == "" then break end
    drained = drained + #data
  end
  self.sock:close()
end

-- Whether these bytes are whole records with one of this content type among them.
local function holds(bytes, content_type)
  local at, found = 1, false
  while #bytes - at >= 4 do
    local kind, n = bytes:byte(at), string.unpack(">I2", bytes, at + 3)
    found, at = found or kind == content_type, at + 5 + n
  end
  return found and at == #bytes + 1
end

-- Whole records with one of this content type among them: what the peer says before it is answered.
function conn:gather(content_type)
  local bytes = ""
  repeat
    local data, err, why = read(self)
    if not data then return nil, err, why end
    bytes = bytes .. data
  until data == "" or holds(bytes, content_type)
  return bytes
end

local function wrap(sock, hs, options)
  sock:settimeout(0)
  sock:setoption("tcp-nodelay", true)
  return setmetatable({
    sock = sock, hs = hs, buffer = "", inbox = {}, answers = 0, -- that the session has given by itself
    deadline = socket.gettime() + (options and options.timeout or 2 * peers.patience),
  }, conn)
end

-- Runs the handshake. true, or nil, message, failure (the alert has been delivered and the socket closed by then).
-- o: gather (a content type: the peer is answered when it has sent a record of that, be it early data), hold (our Finished is not sent: it is in conn.held).
function conn:handshake(o)
  local out, message, failure = self.hs:start()
  local first = o and o.gather
  while true do
    if not out then
      farewell(self, self.hs:pending())
      return nil, message, failure
    end
    if o and o.hold and self.hs.done then
      self.held = out
    elseif #out > 0 then
      local ok, err, why = write(self, out)
      -- A peer that has refused us may have closed already; its alert is still to be read.
      if not ok and why.code ~= "transport" then
        self.sock:close()
        return nil, err, why
      end
    end
    if self.hs.done then break end
    local data, err, why
    if first then data, err, why = self:gather(first) else data, err, why = read(self) end
    first = nil
    if not data then
      self.sock:close()
      return nil, err, why
    end
    if data == "" then
      out, message, failure = self.hs:eof()
      if out then out = nil end
    else
      out, message, failure = self.hs:step(data)
    end
  end
  self.session = assert(self.hs:session())
  return self:take ""
end

-- Opens bytes; plaintext goes to the buffer, a reply goes out.
function conn:take(bytes)
  local plain, reply, failure = self.session:open(bytes)
  if not plain then
    if failure.code == "closed" then
      self.closed = true
      return true
    end
    farewell(self, self.session:pending())
    return nil, reply, failure
  end
  self.buffer = self.buffer .. plain
  if reply and #reply > 0 then
    self.answers = self.answers + 1
    local ok, err, why = write(self, reply)
    if not ok then return nil, err, why end
  end
  -- The close_notify behind the data that came with it.
  if #bytes > 0 then return self:take "" end
  return true
end

-- Gets more into the buffer. true; false at a clean end; or nil, message, failure.
function conn:more()
  if self.closed then return false end
  local data, err, why = read(self)
  if not data then return nil, err, why end
  if data == "" then
    local ok, message, failure = self.session:eof()
    if not ok then return nil, message, failure end
    self.closed = true
    return false
  end
  return self:take(data)
end

function conn:send(data)
  local bytes, message, failure = self.session:seal(data)
  if not bytes then return nil, message, failure end
  return write(self, bytes)
end

-- Bytes as they are: what the session wants sent outside of seal and open.
function conn:put(bytes) return write(self, bytes) end

-- Receives until the session has answered by itself: a KeyUpdate, a request for a certificate. true, or as more().
function conn:answer()
  local before, ok, message, failure = self.answers, true, nil, nil
  while ok and self.answers == before do ok, message, failure = self:more() end
  return ok, message, failure
end

-- Exactly n bytes, or nil, message, failure, what there is.
function conn:receive(n)
  while #self.buffer < n do
    local ok, message, failure = self:more()
    if ok == false then return nil, "closed", { code = "closed" }, self.buffer end
    if not ok then return nil, message, failure, self.buffer end
  end
  local data = self.buffer:sub(1, n)
  self.buffer = self.buffer:sub(n + 1)
  return data
end

-- All up to and including a plain string.
function conn:receive_until(mark)
  while true do
    local _, last = self.buffer:find(mark, 1, true)
    if last then return self:receive(last) end
    local ok, message, failure = self:more()
    if ok == false then return nil, "closed", { code = "closed" }, self.buffer end
    if not ok then return nil, message, failure, self.buffer end
  end
end

-- Everything until close_notify; nil, message, failure, what there was when the end is not clean.
function conn:receive_all()
  while true do
    local ok, message, failure = self:more()
    if ok == false then break end
    if not ok then return nil, message, failure, self.buffer end
  end
  local data = self.buffer
  self.buffer = ""
  return data
end

-- close_notify (the keys are gone then), and the socket's end once the peer has had the time to read it.
function conn:close()
  farewell(self, self.session:close() or "")
end

-- net.connect(port, handshake, {timeout=seconds}) → connection, not yet shaken hands; raises when there is no TCP connection.
function net.connect(port, hs, options)
  local sock = assert(socket.tcp())
  sock:settimeout(peers.patience)
  assert(sock:connect("127.0.0.1", port))
  return wrap(sock, hs, options)
end

-- net.client(port, handshake, options) → connection after its handshake, or nil, message, failure.
function net.client(port, hs, options)
  local c = net.connect(port, hs, options)
  local ok, message, failure = c:handshake()
  if not ok then return nil, message, failure end
  return c
end

-- net.listen() → listening socket, port.
function net.listen()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  return listener, math.tointeger(tonumber(port))
end

-- net.accept(listener, handshake, options) → connection before its handshake, or nil, message.
function net.accept(listener, hs, options)
  listener:settimeout(options and options.timeout or peers.patience)
  local sock, err = listener:accept()
  if not sock then return nil, "nobody connects: " .. tostring(err) end
  return wrap(sock, hs, options)
end

-- net.serve(listener, handshake, options) → connection after its handshake, or nil, message, failure.
function net.serve(listener, hs, options)
  local c, err = net.accept(listener, hs, options)
  if not c then return nil, err, { code = "timeout" } end
  local ok, message, failure = c:handshake(options)
  if not ok then return nil, message, failure end
  return c
end

return net
