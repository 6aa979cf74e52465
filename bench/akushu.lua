-- The bench's own side: akushu, both ends in this process, joined by strings; or, with `sockets`, by the same loopback sockets as LuaSec.
local akushu = require "akushu"

local driver = {}
driver.__index = driver

function driver.new(o)
  local common = { min_version = o.version, max_version = o.version, suites = { o.suite }, groups = o.group and { o.group } or nil }
  local client, server = {}, {}
  for k, v in pairs(common) do client[k], server[k] = v, v end
  client.trust = assert(akushu.trust { file = o.ca })
  server.identity = assert(akushu.identity { chain = o.chain, key = o.key })
  server.session_ids = o.resume == "id"
  if o.resume ~= "id" then server.sessions = false end
  server.tickets = o.resume == "ticket"
  if o.mac_first then client.encrypt_then_mac = false end
  if o.batch then client.max_fragment = o.bulk end
  client.hooks, server.hooks = o.hooks, o.hooks
  local self = setmetatable({ host = o.host, resume = o.resume, batch = o.batch, idle = {} }, driver)
  self.client, self.server = akushu.client(client), akushu.server(server)
  if o.sockets then self.loopback = require("bench.loopback").new() end
  return self
end

local function through(from, to, bytes)
  if #bytes == 0 then return bytes end
  assert(from:send(bytes))
  local got = {}
  local missing = #bytes
  while missing > 0 do
    local data, err, partial = to:receive(missing)
    assert(data or err == "timeout", err)
    data = data or partial
    got[#got + 1] = data
    missing = missing - #data
  end
  return #got == 1 and got[1] or table.concat(got)
end

-- Both sessions; with sockets these, too.
function driver:pair()
  local a, b
  if self.loopback then a, b = self.loopback:pair() end
  local client = self.client:handshake { server_name = self.host, session = self.resumption }
  local server = self.server:handshake {}
  server:start()
  local out = client:start()
  local last
  repeat
    if a then out = through(a, b, out) end
    out = assert(server:step(out))
    if client.done then
      last = out
      break
    end
    if a then out = through(b, a, out) end
    out = assert(client:step(out))
  until client.done and server.done and #out == 0
  local client_session, server_session = client:session(), server:session()
  client:close() -- as a program does that makes many connections: the memory goes now, and not at some collection
  server:close()
  if last and #last > 0 then assert(client_session:open(last)) end
  if self.resume then self.resumption = client_session:resumption() or self.resumption end
  return client_session, server_session, a, b
end

function driver:handshakes(n)
  for i = 1, n do
    local client, server, a, b = self:pair()
    if i == n then
      self.last = ("%s %s%s"):format(client.version, client.suite, client.resumed and " resumed" or "")
      self.resumed = client.resumed
    end
    local bye = client:close()
    if a then through(a, b, bye) end
    server:close()
    if a then
      a:close()
      b:close()
    end
  end
end

function driver:info() return self.last end

function driver:connect() self.live, self.other, self.a, self.b = self:pair() end

-- n records of `size` bytes. Each with a call of its own to seal and to open; or with `batch` 64 KiB a call, which is what a program
-- does that has a lot to say: the context cuts them into records of that size, and what the other side reads holds many.
function driver:bulk(size, n)
  local client, server, a, b = self.live, self.other, self.a, self.b
  local records = self.batch and math.max(1, 65536 // size) or 1
  local text = string.rep("a", size * records)
  for _ = 1, n, records do
    local sealed = client:seal(text)
    if a then sealed = through(a, b, sealed) end
    local opened = server:open(sealed)
    assert(#opened == size * records)
  end
end

function driver:pairs(n)
  for i = 1, n do self.idle[i] = { self:pair() } end
end

function driver:drop()
  for _, pair in ipairs(self.idle) do
    for i = 1, 4 do
      if pair[i] then pair[i]:close() end
    end
  end
  self.idle = {}
end

function driver:close()
  self:drop()
  if self.live then
    self.live:close()
    self.other:close()
  end
  if self.loopback then self.loopback:close() end
end

return driver
