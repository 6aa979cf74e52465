-- External pre-shared keys as an application sees them: whose key it was, and what a client that has nothing but its key thinks of certificates.
local akushu = require "akushu"
local pump = require "spec.support.pump"

local function key(identity) return { identity = identity, key = identity:rep(16) .. "0123456789abcdef" } end

local function run(client, server, o)
  local c, s = pump.run(client:handshake(o), server:handshake())
  return c, s
end

describe("psk_identity", function()
  it("is whose key both sides used, in TLS 1.3", function()
    local client = akushu.client { psk = { key "nobody's", key "sensor 7" } }
    local servers = {
      listed = akushu.server { psk = { key "sensor 6", key "sensor 7" } },
      asked = akushu.server { on_psk = function(identity) return identity == "sensor 7" and key(identity).key or nil end },
      after_a_retry = akushu.server { psk = key "sensor 7", groups = { "secp384r1" } },
    }
    for name, server in pairs(servers) do
      local c, s = run(client, server)
      assert.same({ "sensor 7", "sensor 7" }, { c.session.psk_identity, s.session.psk_identity }, name)
      assert.equal(name == "after_a_retry", c.session.hello_retry)
    end
  end)

  it("is that of TLS 1.2, too, and of the sessions that it began", function()
    local o = { versions = "1.2", suites = { "TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256" }, psk = key "sensor 7" }
    local client, server = akushu.client(o), akushu.server(o)
    local c, s = run(client, server)
    assert.same({ "sensor 7", "sensor 7" }, { c.session.psk_identity, s.session.psk_identity })
    c, s = run(client, server, { session = c.session:resumption() })
    assert.is_true(s.session.resumed)
    assert.same({ "sensor 7", "sensor 7" }, { c.session.psk_identity, s.session.psk_identity })
  end)

  it("may be empty in TLS 1.2, and is nil where there was no such key", function()
    local o = { versions = "1.2", suites = { "TLS_PSK_WITH_AES_128_GCM_SHA256" }, psk = { identity = "", key = "0123456789abcdef" } }
    local c, s = run(akushu.client(o), akushu.server(o))
    assert.same({ "", "" }, { c.session.psk_identity, s.session.psk_identity })
    local ca = akushu.testca.new {}
    local server = akushu.server { identity = ca:issue { names = { "localhost" } }.identity, psk = key "sensor 7" }
    local client = akushu.client { trust = ca:trust() }
    c, s = run(client, server, { server_name = "localhost" })
    assert.is_nil(c.session.psk_identity)
    assert.is_nil(s.session.psk_identity)
    c, s = run(client, server, { server_name = "localhost", session = c.session:resumption() })
    assert.is_true(s.session.resumed)
    assert.is_nil(c.session.psk_identity)
    assert.is_nil(s.session.psk_identity)
  end)

  it("goes along with a fork", function()
    local lab = akushu.lab { seed = "fork" }
    local client, server = lab:client { psk = key "sensor 7" }:handshake { server_name = "localhost" }, lab:server { psk = key "sensor 7" }:handshake()
    local answer = assert(server:step(client:start()))
    local fork = server:fork()
    for _, s in ipairs { server, fork } do assert.equal("sensor 7", s.psk_identity) end
    assert(client:step(answer))
    assert.equal("sensor 7", client.psk_identity)
  end)
end)

describe("a client that has a key and trusts nobody", function()
  it("goes on with who has the key, and needs no name for it", function()
    local c = run(akushu.client { psk = key "i" }, akushu.server { psk = key "i", identity = akushu.testca.self_signed { names = { "localhost" } } })
    assert.equal("i", c.session.psk_identity)
    assert.is_nil(c.session.peer)
  end)

  it("takes no certificate in place of it", function()
    local stranger = akushu.testca.self_signed { names = { "localhost" } }
    for _, version in ipairs { "1.3", "1.2" } do
      for _, name in ipairs { false, "localhost" } do
        local hs = akushu.client { psk = key "i", versions = version }:handshake { server_name = name or nil }
        local server = akushu.server { identity = stranger }:handshake()
        local bytes, failure = assert(hs:start()), nil
        for _ = 1, 3 do
          bytes = assert(server:step(bytes))
          bytes, _, failure = hs:step(bytes)
          if not bytes then break end
        end
        assert.is_nil(bytes)
        assert.same({ "self_signed", "unknown_ca" }, { failure.code, failure.alert })
        assert.matches("no CA at all is trusted here", failure.message)
      end
    end
  end)

  it("says so when it is to verify one", function()
    for _, verify in ipairs { true, "chain" } do
      assert.error_matches(function() akushu.client { psk = key "i", verify = verify } end, "option 'trust' is missing")
    end
    assert.error_matches(function() akushu.client { psk = key "i", on_untrusted = function() end } end, "option 'trust' is missing")
  end)
end)
