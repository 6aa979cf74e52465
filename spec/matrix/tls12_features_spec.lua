-- What a hello says besides, and what comes of it: padding (RFC 7685), TLS_FALLBACK_SCSV (RFC 7507), SCT lists (RFC 6962 §3.3), must-staple (RFC 7633), and which
-- profiles have suites that authenticate or encrypt nothing.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local core = require "akushu.core"
local pump = require "spec.support.pump"
local testca = require "akushu.testca"

local function run(client, server, handshake)
  local one, two = pump.run(akushu.client(client):handshake(handshake or { server_name = "localhost" }), akushu.server(server):handshake())
  return one, two
end

describe("padding (RFC 7685)", function()
  local leaf = certs.leaf "ecdsa"
  local function length(o)
    local n, found
    o.trust = leaf.trust
    o.hooks = { { "send", "client_hello", function(m, ev) n, found = #ev.raw, m.extensions:find "padding" end } }
    local c = run(o, { identity = leaf.identity })
    assert.is_truthy(c.session, c.message)
    return n, found
  end

  for _, version in ipairs { "1.2", "1.3" } do
    it("makes a ClientHello of TLS " .. version .. " as long as it is asked to be, at least", function()
      local plain, none = length { versions = version, groups = { "x25519", "secp256r1" } }
      assert.is_nil(none)
      for n = plain - 2, plain + 8 do
        local got, found = length { versions = version, groups = { "x25519", "secp256r1" }, padding = n }
        assert.is_true(got >= n, n)
        assert.is_true(got <= math.max(plain, n + 3), n) -- an extension has a header of 4 bytes
        assert.equal(n > plain, found ~= nil, n)
      end
      for _, n in ipairs { 512, 1000, 4000 } do assert.equal(n, (length { versions = version, groups = { "x25519", "secp256r1" }, padding = n })) end
    end)
  end
end)

describe("TLS_FALLBACK_SCSV (RFC 7507)", function()
  local leaf = certs.leaf "ecdsa"
  it("is no matter where the server's best is the client's", function()
    local c = run({ trust = leaf.trust, versions = "1.2", fallback_scsv = true }, { identity = leaf.identity, versions = "1.2" })
    assert.is_truthy(c.session, c.message)
    c = run({ trust = leaf.trust, fallback_scsv = true }, { identity = leaf.identity })
    assert.equal("1.3", c.session.version)
  end)

  it("ends a handshake that could be one of TLS 1.3", function()
    local c, s = run({ trust = leaf.trust, versions = "1.2", fallback_scsv = true }, { identity = leaf.identity })
    assert.equal("inappropriate_fallback", s.failure.code)
    assert.equal("inappropriate_fallback", s.failure.alert)
    assert.equal("peer_alert", c.failure.code)
  end)

  it("is not said unless it was asked for", function()
    local said
    run({ trust = leaf.trust, versions = "1.2", hooks = { { "send", "client_hello", function(m)
      for _, suite in ipairs(m.cipher_suites) do said = said or suite == "TLS_FALLBACK_SCSV" end
    end } } }, { identity = leaf.identity })
    assert.is_falsy(said)
  end)
end)

describe("an SCT list (RFC 6962 §3.3)", function()
  local leaf = certs.leaf "ecdsa"
  local list = string.pack(">s2", string.pack(">s2", "one timestamp") .. string.pack(">s2", "another"))
  local identity = akushu.identity { chain = leaf.chain, key = leaf.key, scts = list }

  for _, version in ipairs { "1.2", "1.3" } do
    it("comes to who asks, as it was given: TLS " .. version, function()
      local c = run({ trust = leaf.trust, versions = version, sct = true }, { identity = identity, versions = version })
      assert.equal(list, c.session.scts)
      c = run({ trust = leaf.trust, versions = version }, { identity = identity, versions = version })
      assert.is_nil(c.session.scts)
      c = run({ trust = leaf.trust, versions = version, sct = true }, { identity = leaf.identity, versions = version })
      assert.is_nil(c.session.scts)
    end)
  end

  it("stays with a session that is resumed", function()
    local client, server = akushu.client { trust = leaf.trust, versions = "1.2", sct = true }, akushu.server { identity = identity, versions = "1.2" }
    local first = pump.run(client:handshake { server_name = "localhost" }, server:handshake())
    local second = pump.run(client:handshake { server_name = "localhost", session = first.session:resumption() }, server:handshake())
    assert.is_true(second.session.resumed)
    assert.equal(list, second.session.scts)
  end)
end)

describe("a certificate that promises a stapled response (RFC 7633)", function()
  local ca = testca.new {}
  local leaf = ca:issue { names = { "localhost" }, must_staple = true }

  for _, version in ipairs { "1.2", "1.3" } do
    it("is refused without one, in TLS " .. version, function()
      local c, s = run({ trust = ca:trust(), versions = version, ocsp = true }, { identity = leaf.identity, versions = version })
      assert.equal("must_staple", c.failure and c.failure.code)
      assert.equal("bad_certificate_status_response", c.failure.alert)
      assert.equal("peer_alert", s.failure.code)
    end)

    it("is believed with one, in TLS " .. version, function()
      local stapled = akushu.identity { chain = leaf.chain, key = leaf.key, ocsp = ca:ocsp(leaf) }
      local c = run({ trust = ca:trust(), versions = version, ocsp = true }, { identity = stapled, versions = version })
      assert.is_truthy(c.session, c.message)
      assert.equal("ok", c.session.report.verdict)
    end)
  end
end)

describe("suites that authenticate or encrypt nothing", function()
  it("are in the profile lab alone", function()
    local function nothing(profile)
      local n = 0
      for _, name in ipairs(core.crypto.profile(profile)) do
        if name:find "_anon_" or name:find "_NULL_" then n = n + 1 end
      end
      return n
    end
    for _, profile in ipairs { "modern", "compatible", "classic" } do assert.equal(0, nothing(profile), profile) end
    assert.is_true(nothing "lab" > 10)
  end)

  it("are no way round a certificate that has to be verified, with that profile neither", function()
    local leaf, suite = certs.ecdsa(), "TLS_ECDH_anon_WITH_AES_128_CBC_SHA"
    local nobody = { versions = "1.2", profile = "lab", suites = suite }
    for _, verify in ipairs { true, "chain" } do
      local c, s = pump.run(akushu.client { trust = leaf.trust, versions = "1.2", profile = "lab", verify = verify }:handshake { server_name = "localhost" },
        akushu.server(nobody):handshake())
      assert.is_nil(c.session)
      assert.equal("no_shared_suite", s.failure.code)
    end
    local taken = pump.run(akushu.client { verify = false, versions = "1.2", profile = "lab" }:handshake(), akushu.server(nobody):handshake())
    assert.equal(suite, taken.session.suite)
    -- nor round that of a client
    local _, s = pump.run(akushu.client { verify = false, versions = "1.2", profile = "lab", suites = suite }:handshake(),
      akushu.server { identity = leaf.identity, versions = "1.2", profile = "lab", client_auth = "require", trust = leaf.trust }:handshake())
    assert.equal("no_shared_suite", s.failure.code)
  end)
end)

it("a certificate whose curve the client does not list is told as that (RFC 8422 §5.3)", function()
  local leaf = certs.ecdsa()
  local function failure(client, server)
    client.trust, client.versions, server.identity = leaf.trust, "1.2", leaf.identity
    local _, s = run(client, server)
    assert.equal("no_shared_suite", s.failure.code)
    return s.failure.detail
  end
  local words = "the curve of the server's certificate is not among the client's groups"
  assert.is_truthy(failure({ groups = { "x25519" } }, {}):find(words, 1, true))
  assert.is_nil(failure({ schemes = { "rsa_pss_rsae_sha256" } }, {}):find(words, 1, true))
end)
