-- The bench's LuaSec driver: both ends in this process over loopback, non-blocking, in turn. One context for each side, made once.
-- LuaSec cannot do without sockets, so their system calls are part of what it costs; the bench's "akushu over loopback" pays for the same.
local ssl = require "ssl"
local loopback = require "bench.loopback"

local driver = {}
driver.__index = driver

function driver.new(o)
  if o.resume then return nil, "LuaSec has no client sessions" end
  local protocol = o.version == "1.3" and "tlsv1_3" or "tlsv1_2"
  local common = { protocol = protocol, options = { "all", "no_ticket", o.mac_first and "no_encrypt_then_mac" or nil } }
  local client, server = { mode = "client", cafile = o.ca, verify = { "peer" } },
    { mode = "server", certificate = o.chain, key = o.key }
  for _, side in ipairs { client, server } do
    for k, v in pairs(common) do side[k] = v end
    if o.version == "1.3" then side.ciphersuites = o.suite else side.ciphers = o.openssl_suite end
    if o.openssl_group then side.curveslist = o.openssl_group end
  end
  local self = setmetatable({ host = o.host, idle = {} }, driver)
  self.client, self.server = assert(ssl.newcontext(client)), assert(ssl.newcontext(server))
  self.loopback = loopback.new()
  return self
end

function driver:pair()
  local a, b = self.loopback:pair()
  local client, server = assert(ssl.wrap(a, self.client)), assert(ssl.wrap(b, self.server))
  client:sni(self.host)
  client:settimeout(0)
  server:settimeout(0)
  local client_done, server_done
  for _ = 1, 1000 do
    local err
    if not client_done then
      client_done, err = client:dohandshake()
      assert(client_done or err == "wantread" or err == "wantwrite", err)
    end
    if not server_done then
      server_done, err = server:dohandshake()
      assert(server_done or err == "wantread" or err == "wantwrite", err)
    end
    if client_done and server_done then return client, server end
  end
  error "LuaSec's handshake does not come to an end"
end

function driver:handshakes(n)
  for i = 1, n do
    local client, server = self:pair()
    if i == n then
      local info = client:info()
      self.last = ("%s %s"):format(info.protocol, info.cipher)
    end
    client:close()
    server:close()
  end
end

function driver:info() return self.last end

function driver:connect()
  self.live, self.other = self:pair()
end

function driver:bulk(size, n)
  local client, server = self.live, self.other
  local text = string.rep("a", size)
  for _ = 1, n do
    local sent = assert(client:send(text))
    assert(sent == size)
    local got = assert(server:receive(size))
    assert(#got == size)
  end
end

function driver:pairs(n)
  for i = 1, n do self.idle[i] = { self:pair() } end
end

function driver:drop()
  for _, pair in ipairs(self.idle) do
    pair[1]:close()
    pair[2]:close()
  end
  self.idle = {}
end

function driver:close()
  self:drop()
  if self.live then
    self.live:close()
    self.other:close()
  end
  self.loopback:close()
end

return driver
