-- What BoringSSL's runner found, pinned: one thing changed through a gate, or one answer of the application's (bogo/README.md).
local akushu = require "akushu"
local certs = require "spec.support.certs"
local mutate = require "spec.support.mutate"
local pump = require "spec.support.pump"

local message, record = mutate.message, mutate.record

local function extension(kind, data)
  return function(m) mutate.with(m, kind, data) end
end

local function no(kind)
  return function(m) mutate.without(m, kind) end
end

local function twice(kind)
  return function(m) table.insert(m.extensions, (assert(mutate.extension(m, kind)))) end
end

local unexpected, illegal, decode = "unexpected_message", "illegal_parameter", "decode_error"

describe("order, as the runner wants it:", function()
  mutate.rows(it, {
    { "half a message in the record of a ClientHello", setup = "ecdhe", attack = "server", gate = "plain_out", message = "handshake",
      change = function(bytes, ev) return ev.state == "send_client_hello" and bytes .. "\16\0" or nil end, code = "excess_handshake_data", alert = unexpected },
    { "half a message behind ServerHelloDone", setup = "ecdhe", attack = "client", gate = "plain_out", message = "handshake",
      change = function(bytes) return bytes:byte() == 14 and bytes .. "\4\0" or nil end, code = "excess_handshake_data", alert = unexpected },
    { "application data after a ClientHello", setup = "ecdhe", attack = "server", message = "client_key_exchange",
      change = function(_, ev) ev:before { content_type = "application_data", bytes = "x" } end, code = "unexpected_record", alert = unexpected },
    { "application data before a ServerHello", setup = "ecdhe", attack = "client", message = "server_hello",
      change = function(_, ev) ev:before { content_type = "application_data", bytes = "x" } end, code = "application_data_early", alert = unexpected },
  })
end)

describe("hellos, as the runner wants them:", function()
  mutate.rows(it, {
    { "an extension twice in a ClientHello", setup = "tls13", attack = "server", message = "client_hello", change = twice "supported_groups",
      code = "duplicate_extension", alert = decode },
    { "TLS 1.2 with an ECDSA certificate on a curve that was not offered", setup = "ecdhe", attack = "client", client = { groups = { "x25519", "secp256r1" } },
      hooks = { { "client", "send", "client_hello", function(m) mutate.with(m, "supported_groups", { named_group_list = { "x25519" } }) end },
        { "server", "receive", "client_hello", function(m) mutate.with(m, "supported_groups", { named_group_list = { "x25519", "secp256r1" } }) end } },
      code = "certificate_curve", alert = illegal },
    { "a compression method in a TLS 1.3 ServerHello", setup = "tls13", attack = "client", message = "server_hello", change = function(m) m.compression_method = 1 end,
      code = "compression_in_tls13", alert = decode, blind = "unexpected_record" },
    { "a strange legacy_version beside supported_versions", setup = "tls13", attack = "client", message = "server_hello",
      change = function(m) m.legacy_version = 0x1234 end, code = "unsupported_version", alert = "protocol_version", blind = "unexpected_record" },
    { "an extension of TLS 1.2 in EncryptedExtensions", setup = "tls13", attack = "client", client = { versions = { "1.2", "1.3" }, suites = {
      "TLS_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" } }, message = "encrypted_extensions", change = extension("ec_point_formats", "\1\0"),
      code = "legacy_extension", alert = illegal },
    { "no groups for a server that wants them named", setup = "ecdhe", attack = "server", server = { strict_groups = true }, message = "client_hello",
      change = no "supported_groups", code = "no_shared_suite", alert = "handshake_failure" },
  })

  it("a HelloRequest in the handshake ends it where renegotiation is fatal, and is passed over otherwise", function()
    local row = { setup = "ecdhe", attack = "client", message = "certificate", change = function(_, ev) ev:before(message("hello_request", "")) end,
      code = "unexpected_message", alert = unexpected }
    local client = mutate.attack(row)
    assert.is_truthy(client.session, client.message)
    row.client = { renegotiation = "fatal" }
    mutate.expect(row)
  end)

  it("early data that was refused is passed over until a record opens", function()
    local row = { setup = "tls13", attack = "server", early = "0123456789", handshake = {}, hooks = {} }
    local session, c, s = mutate.session("tls13", { tickets = true }, { tickets = true, early_data = 1000 })
    local strict = akushu.server { versions = "1.3", suites = { "TLS_AES_128_GCM_SHA256" }, identity = certs.leaf "ecdsa".identity }
    assert.is_truthy(s)
    row.contexts, row.handshake = { c, strict }, { session = session }
    local server, client = mutate.attack(row)
    assert.is_truthy(server.session, server.message)
    assert.is_truthy(client.session, client.message)
    assert.equal("refused", client.session.early_data)
  end)
end)

describe("an alert of a TLS 1.3 client", function()
  it("stands behind the ChangeCipherSpec of the second flight (RFC 8446 §D.4)", function()
    local hc, hs = mutate.handshakes "tls13"
    hs:on("send", "encrypted_extensions", function() return message("encrypted_extensions", "\0\1\0") end)
    local flight = assert(hs:step((assert(hc:start()))))
    assert.is_nil((hc:step(flight)))
    local sent = hc:pending()
    assert.equal(record(20, "\1"), sent:sub(1, 6))
    assert.equal(23, sent:byte(7))
  end)
end)

describe("what the application answers", function()
  local function run(client, server, options)
    local leaf = certs.leaf "ecdsa"
    local c = { trust = leaf.trust, versions = "1.3" }
    local s = { identity = leaf.identity, versions = "1.3" }
    for k, v in pairs(client or {}) do c[k] = v end
    for k, v in pairs(server or {}) do s[k] = v end
    local o = { server_name = "localhost" }
    for k, v in pairs(options or {}) do o[k] = v end
    local cc, sc = akushu.client(c), akushu.server(s)
    local one, two = pump.run(cc:handshake(o), sc:handshake())
    return one, two, cc, sc
  end

  it("an identity refused is an internal error of the server's", function()
    for _, version in ipairs { "1.2", "1.3" } do
      local c, s = run({ versions = version }, { versions = version, on_identity = function() return false end })
      mutate.failed_with(s, "identity_refused", "internal_error")
      assert.equal("internal_error", c.failure.alert)
    end
  end)

  it("no protocol's name is no choice", function()
    local _, s = run({ alpn = { "h2" } }, { alpn = function() return "" end })
    mutate.failed_with(s, "alpn_choice", "internal_error")
  end)

  it("a protocol that was not offered is taken only by who asks for it", function()
    local function other(hs) hs:on("send", "encrypted_extensions", extension("application_layer_protocol_negotiation", { protocol_name_list = { "x" } })) end
    local leaf = certs.leaf "ecdsa"
    for _, any in ipairs { false, true } do
      local hc = akushu.client { trust = leaf.trust, alpn = { "h2" }, accept_any_alpn = any }:handshake { server_name = "localhost" }
      local hs = akushu.server { identity = leaf.identity, alpn = { "h2" } }:handshake()
      other(hs)
      local c = pump.run(hc, hs)
      if any then assert.equal("x", c.session.alpn) else mutate.failed_with(c, "wrong_application_protocol", illegal) end
    end
  end)

  it("a stapled response is asked for in both versions, and can be refused", function()
    for _, version in ipairs { "1.2", "1.3" } do
      local function on(answer) return { versions = version, on_ocsp = function() return answer end } end
      local c = run({ versions = version, ocsp = true, verify = false, trust = certs.leaf "ecdsa".trust }, on "response")
      assert.equal("response", c.session.ocsp_response)
      c = run({ versions = version, ocsp = true, verify = false }, on(nil))
      assert.is_nil(c.session.ocsp_response)
      local _, s = run({ versions = version, ocsp = true, verify = false }, on(false))
      mutate.failed_with(s, "staple_refused", "internal_error")
    end
  end)

  it("a chain that nobody vouches for is resumed only when the answer was to remember it", function()
    for _, version in ipairs { "1.2", "1.3" } do
      for _, answer in ipairs { true, "remember" } do
        local one, _, cc, sc = run({ versions = version, trust = akushu.trust {}, on_untrusted = function() return answer end }, { versions = version })
        local kept = assert(one.session:resumption())
        local two = pump.run(cc:handshake { server_name = "localhost", session = kept }, sc:handshake())
        assert.equal(answer == "remember", two.session.resumed)
      end
    end
  end)

  it("on_untrusted names the alert", function()
    local c, s = run { trust = akushu.trust {}, on_untrusted = function() return false, "certificate_unknown" end }
    mutate.failed_with(c, "certificate_rejected", "certificate_unknown")
    assert.equal("certificate_unknown", s.failure.alert)
  end)

  it("suites of one rank follow the client's order", function()
    local a, b = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    for _, order in ipairs { { a, b }, { b, a } } do
      local c = run({ versions = "1.2", suites = order }, { versions = "1.2", suites = { { a, b } } })
      assert.equal(order[1], c.session.suite)
      c = run({ versions = "1.2", suites = order }, { versions = "1.2", suites = { a, b } })
      assert.equal(a, c.session.suite)
    end
  end)

  it("schemes for signing are apart from those that are accepted", function()
    local c = run({}, { identity = certs.leaf "rsa".identity, signing_schemes = { "rsa_pss_rsae_sha512" } })
    assert.is_nil(c.session) -- another CA: the client does not know it
    c = run({ trust = certs.leaf "rsa".trust }, { identity = certs.leaf "rsa".identity, signing_schemes = { "rsa_pss_rsae_sha512" } })
    assert.equal("rsa_pss_rsae_sha512", c.session.scheme)
  end)
end)
