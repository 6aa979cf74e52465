-- Two ends in one process: a Handshake of a client and one of a server, joined by memory.
local pump = {}

local end_mt = {}
end_mt.__index = end_mt

local function new_end(name, hs)
  return setmetatable({ name = name, hs = hs, inbox = {}, plain = {}, bytes_out = 0, sent = {} }, end_mt)
end

local function put(self, bytes)
  if bytes and #bytes > 0 then
    self.bytes_out = self.bytes_out + #bytes
    self.sent[#self.sent + 1] = bytes
    table.insert(self.peer.inbox, bytes)
  end
end

local function failed(self, message, failure)
  self.message, self.failure = message, failure
  put(self, (self.session or self.hs):pending())
end

local function take_session(self)
  if self.hs.done and not self.session then
    self.session = assert(self.hs:session())
    self:deliver ""
  end
end

-- Gives bytes to this end; what it answers goes to the other one.
function end_mt:deliver(bytes)
  if self.failure then return end
  if self.session then
    local plain, reply, failure = self.session:open(bytes)
    if plain then
      if #plain > 0 then self.plain[#self.plain + 1] = plain end
      put(self, reply)
    else
      failed(self, reply, failure)
    end
    return
  end
  local out, message, failure = self.hs:step(bytes)
  if not out then return failed(self, message, failure) end
  put(self, out)
  take_session(self)
end

-- All plaintext that has come so far.
function end_mt:received() return table.concat(self.plain) end

-- Application data from this end to the other, which opens it at once.
function end_mt:send(data)
  put(self, assert(self.session:seal(data)))
end

-- pump.join(client_hs, server_hs) → the two ends, nothing started.
function pump.join(client_hs, server_hs)
  local client, server = new_end("client", client_hs), new_end("server", server_hs)
  client.peer, server.peer = server, client
  return client, server
end

-- pump.move(client, server, chunk): carries bytes to and fro, `chunk` at a time (all at once by default), until none are under way.
function pump.move(client, server, chunk)
  local steps = 0
  while #client.inbox > 0 or #server.inbox > 0 do
    for _, side in ipairs { server, client } do
      local bytes = table.concat(side.inbox)
      side.inbox = {}
      if #bytes > 0 then
        local at, n = 1, chunk or #bytes
        repeat
          side:deliver(bytes:sub(at, at + n - 1))
          at = at + n
        until at > #bytes
      end
    end
    steps = steps + 1
    assert(steps < 10000, "the two ends do not come to an end")
  end
end

-- pump.run(client_hs, server_hs, {chunk = n}) → client, server: each with .session, or .message and .failure; .sent (list of what it
-- sent), .bytes_out, :received(), :send(data). Runs until both are done or have failed, and everything sent has arrived.
function pump.run(client_hs, server_hs, options)
  local client, server = pump.join(client_hs, server_hs)
  local out, message, failure = client_hs:start()
  if not out then
    failed(client, message, failure)
  else
    put(client, out)
  end
  out, message, failure = server_hs:start()
  if not out then failed(server, message, failure) else put(server, out) end
  pump.move(client, server, options and options.chunk)
  return client, server
end

-- Data from one end to the other in one call; returns what the other end has received by it.
function pump.transfer(from, to, data, chunk)
  local before = #to:received()
  from:send(data)
  pump.move(from, to, chunk)
  return to:received():sub(before + 1)
end

-- pump.connect(client_hs, server_hs) → both ends, which have their sessions.
function pump.connect(client_hs, server_hs)
  local c, s = pump.run(client_hs, server_hs)
  assert(c.session, c.message)
  assert(s.session, s.message)
  return c, s
end

return pump
