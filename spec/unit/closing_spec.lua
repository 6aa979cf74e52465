-- Who closes an object while a function works with it: finalizers, which run at any allocation, hooks, functions of the application. Under AddressSanitizer
-- (make sanitize) memory that is used after it was released shows itself; here it is looked whether all that is left is in order.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local pump = require "spec.support.pump"

local identity = certs.leaf "ecdsa"
local client, server = akushu.client { trust = identity.trust }, akushu.server { identity = identity.identity }

-- Its arguments are what a test wants to have looked at.
local function read(...) return select("#", ...) end

local function handshakes() return client:handshake { server_name = "localhost" }, server:handshake() end

-- Does work(object) with objects made by make(), each time with a finalizer that closes the object a little later than the time before. What work raises
-- must say that the object is closed.
local function with_finalizer(make, close, work)
  local closed = 0
  collectgarbage("incremental", 1, 1000, 13) -- a whole collection every 8 KiB
  for n = 1, 8 do
    local object = make()
    collectgarbage()
    setmetatable({}, { __gc = function()
      close(object)
      closed = closed + 1
    end })
    local meanwhile = {}
    for i = 1, 13 * n do meanwhile[i] = { i } end
    local ok, message = pcall(work, object, meanwhile)
    if not ok and not (tostring(message):find "closed" or tostring(message):find "released") then
      collectgarbage("incremental", 200, 100, 13)
      error(message, 0)
    end
  end
  collectgarbage("incremental", 200, 100, 13)
  assert.is_true(closed > 0)
end

local function close(object) object:close() end
local function leave(object) getmetatable(object).__close(object) end

describe("an object that a finalizer closes", function()
  it("is a handshake with hooks", function()
    with_finalizer(function()
      local c = handshakes()
      for _, gate in ipairs { "compose", "send", "record_out" } do c:on(gate, "*", function() end) end
      return c
    end, close, function(c)
      local s = server:handshake()
      pump.run(c, s)
      return c.state, c.peer, c.report, c:pending()
    end)
  end)

  it("is a handshake that fails", function()
    local stranger = akushu.client { trust = akushu.trust {} }
    with_finalizer(function() return stranger:handshake { server_name = "localhost" } end, close, function(c)
      pump.run(c, server:handshake())
      return c.failure, c.report
    end)
  end)

  it("is a handshake whose secrets, output and exports are asked for", function()
    with_finalizer(function()
      local c, s = handshakes()
      pump.run(c, s)
      return c
    end, close, function(c)
      for _ = 1, 10 do
        if c:secret "client_application_traffic" then c:secret_origin "client_application_traffic" end
        c:pending()
        c:abort()
      end
    end)
  end)

  it("is a session", function()
    local other
    with_finalizer(function()
      local c, s = pump.connect(handshakes())
      other = s.session
      return c.session
    end, leave, function(session)
      for i = 1, 20 do
        session:open(other:seal(("x"):rep(i * 100)))
        session:seal { "a", ("b"):rep(i) }
        read(session.peer, session.report, session.suite, session:resumption(), session:export("EXPORTER-x", nil, 32))
      end
      session:update_keys()
      session:close()
    end)
  end)

  it("is a context", function()
    with_finalizer(function() return akushu.client { trust = identity.trust } end, close, function(context)
      for _ = 1, 20 do context:handshake({ server_name = "localhost" }):start() end
    end)
  end)

  it("is a certificate, a key, an identity, a trust store", function()
    local der = identity.identity.certificate.der
    with_finalizer(function() return assert(akushu.certificate(der)) end, close, function(cert)
      for _ = 1, 5 do
        read(cert.subject, cert.extensions, cert.names, cert.pem, cert.fingerprint, cert.policies, tostring(cert))
        cert:matches "localhost"
      end
    end)
    with_finalizer(function() return akushu.private_key.generate "ec:secp256r1" end, close, function(key)
      for _ = 1, 5 do
        read(key.spki, key:sign("ecdsa_secp256r1_sha256", { "some", "data" }), key:reveal "pem", tostring(key))
      end
    end)
    local pem = identity.identity.key:reveal "pem"
    with_finalizer(function() return akushu.identity { chain = der, key = pem } end, close, function(one)
      for _ = 1, 5 do
        read(one.chain, one.certificate, one.key, tostring(one))
        one:set_ocsp { "\48\3", "\10\1\3" }
      end
    end)
    with_finalizer(function() return akushu.trust { certificates = der } end, close, function(trust)
      for _ = 1, 5 do
        trust:add { der }
        read(trust.certificates, trust.sources, tostring(trust), trust:verify(der, { host = "localhost" }))
      end
    end)
  end)

  it("is a secret, what a session is resumed by, a record protection, a key exchange value", function()
    local c = pump.connect(handshakes())
    local bytes = c.session:resumption():serialize()
    with_finalizer(function() return assert(akushu.resumption(bytes)) end, close, function(r)
      for _ = 1, 10 do
        read(r:serialize(), r.suite, r.server_name, tostring(r))
      end
    end)
    local keys = { secret = ("k"):rep(32) }
    with_finalizer(function() return akushu.record.protect("TLS_AES_128_GCM_SHA256", 0x0304, keys) end, close, function(x)
      for i = 1, 10 do x:seal("application_data", { ("x"):rep(i * 100) }) x:clone() end
    end)
    with_finalizer(function() return assert(akushu.crypto.share "x25519") end, close, function(share)
      local peer = akushu.crypto.share "x25519"
      for _ = 1, 5 do share:derive { peer:public() } end
    end)
  end)

  it("is a lab whose notes are read", function()
    local core = require "akushu.core"
    with_finalizer(function()
      local p = core.lab_provider "seed"
      p:journal(true)
      return p
    end, close, function(p)
      for _ = 1, 5 do
        for _ = 1, 10 do p:random("client_random", 32) end
        p:notes()
      end
      p:generate "ec:secp256r1"
    end)
  end)
end)

describe("an array of strings", function()
  it("is read without metamethods: nobody closes anything meanwhile", function()
    local c, s = handshakes()
    local hello = assert(c:start())
    local function closing() c:close() s:close() return 2 end
    local evil = setmetatable({ hello:sub(1, 9), hello:sub(10) }, { __len = closing, __index = closing })
    assert.is_true(#assert(s:step(evil)) > 1000)
    assert.has_error(function() s:step { "a", 5 } end)
  end)
end)

describe("a hook that closes its handshake", function()
  it("ends the step there", function()
    for _, gate in ipairs { "compose", "send", "plain_out", "record_out" } do
      local c = handshakes()
      c:on(gate, "*", function() c:close() end)
      local out, _, failure = c:start()
      assert.is_nil(out)
      assert.equal("aborted", failure.code)
      assert.equal("akushu.Handshake (closed)", tostring(c))
    end
  end)

  it("or lets a finalizer do so", function()
    local c = handshakes()
    c:on("compose", "client_hello", function()
      setmetatable({}, { __gc = function() c:close() end })
      collectgarbage()
      collectgarbage()
    end)
    local out, _, failure = c:start()
    assert.is_nil(out)
    assert.equal("aborted", failure.code)
  end)

  it("and an error that does so while it is made a text closes it when the step has ended", function()
    for _, name in ipairs { "__gc", "__close" } do -- by hand: the collector does not come for what is in use
      local c = handshakes()
      local told = setmetatable({}, { __tostring = function()
        getmetatable(c)[name](c)
        return "told"
      end })
      c:on("compose", "*", function() error(told) end)
      local out, message, failure = c:start()
      assert.is_nil(out)
      assert.matches("told", message)
      assert.equal("hook_failed", failure.code)
      assert.equal(told, failure.error)
      assert.equal("akushu.Handshake (closed)", tostring(c))
    end
  end)

  it("as its clock and its padding do", function()
    local c
    for _, option in ipairs { "clock", "record_padding" } do
      local own = akushu.client { trust = identity.trust, [option] = function() c:close() return 1 end }
      c = own:handshake { server_name = "localhost" }
      local ok, message = pcall(c.start, c)
      assert.is_false(ok)
      assert.matches("closed", message)
    end
  end)

  it("or closes the identity that it returns", function()
    local own = akushu.identity { chain = identity.chain, key = identity.key }
    own:close()
    local asked = akushu.server { identity = identity.identity, on_identity = function() return own end }
    local c, s = client:handshake { server_name = "localhost" }, asked:handshake()
    local _, S = pump.run(c, s)
    assert.equal("hook_failed", S.failure.code)
    assert.matches("closed", S.failure.message)
    assert.is_nil((s:step ""))
  end)
end)
