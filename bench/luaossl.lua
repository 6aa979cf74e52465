-- The bench's luaossl driver: luaossl's contexts on a pair of cqueues sockets, both ends in this process, a coroutine each.
require "socket" -- makes a broken pipe an error, not a signal
local cqueues = require "cqueues"
local cqs = require "cqueues.socket"
local ssl_context = require "openssl.ssl.context"
local pkey = require "openssl.pkey"
local x509 = require "openssl.x509"
local x509_chain = require "openssl.x509.chain"
local x509_store = require "openssl.x509.store"
local ssl = require "openssl.ssl"

local driver = {}
driver.__index = driver

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

function driver.new(o)
  if o.resume or o.mac_first then return nil, "not driven" end
  local version = o.version == "1.3" and "TLSv1_3" or "TLSv1_2"
  local client, server = ssl_context.new(version, false), ssl_context.new(version, true)
  local certs = {}
  for pem in read(o.chain):gmatch "%-%-%-%-%-BEGIN CERTIFICATE.-END CERTIFICATE%-%-%-%-%-\n" do certs[#certs + 1] = x509.new(pem) end
  server:setCertificate(certs[1])
  server:setPrivateKey(pkey.new(read(o.key)))
  local chain = x509_chain.new()
  for i = 2, #certs do chain:add(certs[i]) end
  server:setCertificateChain(chain)
  local store = x509_store.new()
  store:add(x509.new(read(o.ca)))
  client:setStore(store)
  client:setVerify(ssl_context.VERIFY_PEER)
  for _, side in ipairs { client, server } do
    side:setOptions(ssl.OP_NO_TICKET)
    if o.version == "1.3" then side:setCipherSuites(o.suite) else side:setCipherList(o.openssl_suite) end
    if o.openssl_group and side.setGroups then side:setGroups(o.openssl_group) end
  end
  return setmetatable({ client = client, server = server, host = o.host, idle = {} }, driver)
end

local function loop(...)
  local queue = cqueues.new()
  for _, fn in ipairs { ... } do queue:wrap(fn) end
  assert(queue:loop())
end

function driver:pair()
  local a, b = cqs.pair()
  a:setmode("bn", "bn")
  b:setmode("bn", "bn")
  a:onerror(function(_, _, code) return code end)
  b:onerror(function(_, _, code) return code end)
  local client_ssl = ssl.new(self.client)
  client_ssl:setHostName(self.host)
  loop(function()
    assert(a:starttls(client_ssl, 10))
  end, function()
    assert(b:starttls(self.server, 10))
  end)
  return a, b
end

function driver:handshakes(n)
  for i = 1, n do
    local a, b = self:pair()
    if i == n then
      local checked = a:checktls()
      self.last = ("%s %s"):format(checked:getVersion(), checked:getCipherInfo().name)
    end
    a:close()
    b:close()
  end
end

function driver:info() return self.last end

function driver:connect() self.live, self.other = self:pair() end

function driver:bulk(size, n)
  local a, b = self.live, self.other
  local text = string.rep("a", size)
  loop(function()
    for _ = 1, n do
      assert(a:write(text))
      assert(#assert(b:read(size)) == size)
    end
  end)
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
end

return driver
