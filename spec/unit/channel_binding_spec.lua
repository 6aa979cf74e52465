-- Channel bindings: tls-unique and tls-server-end-point (RFC 5929), tls-exporter (RFC 9266), and the connections that have none (RFC 7627).
local akushu = require "akushu"
local certs = require "spec.support.certs"
local pump = require "spec.support.pump"
local testca = require "akushu.testca"

local function connect(o)
  o = o or {}
  local leaf = o.leaf or certs.ecdsa()
  local c, s = { trust = leaf.trust, security_level = 0 }, { identity = leaf.identity, security_level = 0 }
  if o.anonymous then c, s = { verify = false, security_level = 0 }, { security_level = 0 } end
  for _, side in ipairs { c, s } do
    for k, v in pairs(o.both or {}) do side[k] = v end
  end
  local client, server = o.contexts and o.contexts[1] or akushu.client(c), o.contexts and o.contexts[2] or akushu.server(s)
  local hc, hs = client:handshake { server_name = "localhost", session = o.session }, server:handshake()
  local finished = {}
  for side, h in pairs { client = hc, server = hs } do
    h:on("send", "finished", function(m)
      finished[side] = m.verify_data
      finished.first = finished.first or m.verify_data
    end)
  end
  local one, two = pump.run(hc, hs)
  assert.is_truthy(one.session, one.message)
  assert.is_truthy(two.session, two.message)
  return one.session, two.session, finished, { client, server }
end

local function same(a, b, type)
  local value = assert(a:channel_binding(type))
  assert.equal(value, assert(b:channel_binding(type)))
  return value
end

local function none(session, type, why)
  local value, message, failure = session:channel_binding(type)
  assert.is_nil(value)
  assert.equal("not_ready", failure.code)
  assert.is_nil(failure.alert)
  assert.is_truthy(message:find(why, 1, true), message)
  assert.equal("open", session.state) -- a question that has no answer ends nothing
end

describe("tls-unique", function()
  it("is the first Finished: the client's, or the server's when the session is resumed (RFC 5929 §3.1)", function()
    for _, tickets in ipairs { false, true } do
      local a, b, finished, contexts = connect { both = { versions = "1.2", tickets = tickets } }
      assert.equal(finished.client, same(a, b, "tls-unique"))
      assert.equal(finished.first, finished.client)
      assert.equal(a.client_finished, finished.client)
      assert.equal(b.server_finished, finished.server)
      local c, d, again = connect { contexts = contexts, session = a:resumption() }
      assert.is_true(c.resumed)
      assert.equal(again.server, same(c, d, "tls-unique"))
      assert.equal(again.first, again.server)
      assert.not_equal(finished.client, again.server)
    end
  end)

  it("of the older versions, too", function()
    for _, version in ipairs { "1.0", "1.1" } do
      local a, b, finished = connect { leaf = certs.rsa(), both = { versions = version, suites = { "TLS_RSA_WITH_AES_128_CBC_SHA" } } }
      assert.equal(finished.client, same(a, b, "tls-unique"))
    end
  end)

  it("is not had without extended_master_secret, where it is not unique (Triple Handshake; RFC 7627 §5.4)", function()
    local a, b, _, contexts = connect { both = { versions = "1.2", extended_master_secret = false } }
    for _, s in ipairs { a, b } do
      none(s, "tls-unique", "extended_master_secret")
    end
    local c, d = connect { contexts = contexts, session = a:resumption() }
    assert.is_true(c.resumed)
    none(c, "tls-unique", "extended_master_secret")
    none(d, "tls-unique", "extended_master_secret")
    assert.is_nil(c.tls_unique) -- there is no other way
  end)

  it("is not had in TLS 1.3 (RFC 8446 §C.5)", function()
    local a, b = connect { both = { versions = "1.3" } }
    none(a, "tls-unique", "TLS 1.3")
    none(b, "tls-unique", "TLS 1.3")
  end)
end)

describe("tls-server-end-point", function()
  it("is the hash of the server's certificate, SHA-256 for what is weaker (RFC 5929 §4.1)", function()
    local ca = testca.new { name = "binding root" }
    local cases = {
      { ca, "sha256", "sha256" }, { ca, "sha384", "sha384" }, { ca, "sha512", "sha512" }, { ca, "sha1", "sha256" },
      { testca.new { key = "rsa:2048" }, "sha256", "sha256" }, { testca.new { key = "rsa:2048" }, "sha512", "sha512" },
    }
    for _, case in ipairs(cases) do
      local leaf = case[1]:issue { names = { "localhost" }, hash = case[2] }
      for _, version in ipairs { "1.2", "1.3" } do
        local a, b = connect { leaf = { trust = case[1]:trust(), identity = leaf.identity }, both = { versions = version } }
        assert.equal(akushu.crypto.digest(case[3], leaf.certificate.der), same(a, b, "tls-server-end-point"), case[2])
      end
    end
  end)

  it("stays in a resumed session, where nobody shows it", function()
    for _, version in ipairs { "1.2", "1.3" } do
      local a, b, _, contexts = connect { both = { versions = version } }
      if version == "1.3" then a:open(b:seal "ticket") end
      local first = same(a, b, "tls-server-end-point")
      local resumption = assert(akushu.resumption(assert(a:resumption()):serialize()))
      local c, d = connect { contexts = contexts, session = resumption }
      assert.is_true(c.resumed)
      assert.equal(first, same(c, d, "tls-server-end-point"))
    end
  end)

  it("does not hang on extended_master_secret", function()
    local a, b = connect { both = { versions = "1.2", extended_master_secret = false } }
    assert.equal(32, #same(a, b, "tls-server-end-point"))
  end)

  it("is not had where the certificate's signature names no hash: Ed25519, Ed448", function()
    local ca = testca.new { key = "ed25519" }
    local leaf = ca:issue { names = { "localhost" } }
    local a, b = connect { leaf = { trust = ca:trust(), identity = leaf.identity } }
    none(a, "tls-server-end-point", "certificate")
    none(b, "tls-server-end-point", "certificate")
  end)

  it("is not had where there is no certificate", function()
    local a, b = connect { anonymous = true, both = { versions = "1.2", profile = "lab", suites = { "TLS_ECDH_anon_WITH_AES_128_CBC_SHA" } } }
    none(a, "tls-server-end-point", "certificate")
    none(b, "tls-server-end-point", "certificate")
  end)
end)

describe("tls-exporter", function()
  it("is 32 bytes of the exporter under its label, with an empty context (RFC 9266 §2)", function()
    for _, version in ipairs { "1.2", "1.3" } do
      local a, b = connect { both = { versions = version } }
      local value = same(a, b, "tls-exporter")
      assert.equal(32, #value)
      assert.equal(a:export("EXPORTER-Channel-Binding", "", 32), value)
      local c = connect { both = { versions = version } }
      assert.not_equal(value, c:channel_binding "tls-exporter")
    end
  end)

  it("is not had without extended_master_secret (RFC 9266 §4.2)", function()
    local a, b = connect { both = { versions = "1.2", extended_master_secret = false } }
    none(a, "tls-exporter", "extended_master_secret")
    none(b, "tls-exporter", "extended_master_secret")
  end)
end)

describe("a channel binding", function()
  it("that nobody knows is a mistake", function()
    local a = connect()
    assert.has_error(function() a:channel_binding "tls-nonsense" end)
    assert.has_error(function() a:channel_binding() end)
  end)

  it("of a session that is closed: nothing is left", function()
    local a = connect()
    a:close()
    local value = a:channel_binding "tls-exporter"
    assert.is_nil(value)
  end)
end)
