-- Bad input, TLS 1.2: Certificate, CertificateRequest, CertificateVerify (RFC 5246 §7.4.2, §7.4.4, §7.4.6, §7.4.8), and chains that are not believed.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local mutate = require "spec.support.mutate"
local testca = require "akushu.testca"

local message = mutate.message
local day = 86400

-- A chain as it stands in a Certificate message.
local function list(...)
  local out = {}
  for i, c in ipairs { ... } do out[i] = string.pack(">s3", type(c) == "string" and c or c.der) end
  return message("certificate", string.pack(">s3", table.concat(out)))
end

local function send(bytes)
  return function() return type(bytes) == "function" and bytes() or bytes end
end

-- ---- form -----------------------------------------------------------------------------------------------------------------

-- What any Certificate may have wrong, whoever sends it.
local function forms(rows, attack, setup, state)
  local leaf = certs.leaf(setup == "rsa" and "rsa" or "ecdsa", attack == "server" and "client" or nil).identity.chain[1]
  local function add(name, bytes, code, alert)
    rows[#rows + 1] = { name .. ", to a " .. attack, attack = attack, setup = setup, message = "certificate", change = send(bytes),
      code = code,
      alert = alert, state = state }
  end
  local body = list(leaf):sub(5)
  add("no body", message("certificate", ""), "decode_error", "decode_error")
  add("an empty certificate in the list", message("certificate", "\0\0\3\0\0\0"), "decode_error", "decode_error")
  add("a list that is longer than the message", message("certificate", "\0\255\255" .. body:sub(4)), "decode_error", "decode_error")
  add("a certificate that is longer than the list",
    message("certificate", body:sub(1, 3) .. "\0\255\255" .. body:sub(7)), "decode_error", "decode_error")
  add("bytes after the list", message("certificate", body .. "x"), "trailing_data", "decode_error")
  add("garbage", list(("garbage"):rep(50)), "undecodable_certificate", "decode_error")
  add("a certificate without its last byte", list(leaf.der:sub(1, -2)), "undecodable_certificate", "decode_error")
  add("a byte after the certificate", list(leaf.der .. "\0"), "undecodable_certificate", "decode_error")
  add("a second certificate that is garbage", list(leaf, "garbage"), "undecodable_certificate", "decode_error")
  add("an empty SEQUENCE", list "\48\0", "bad_certificate", "bad_certificate")
end

describe("a Certificate message", function()
  local rows = {
    { "an empty list from a server", attack = "client", setup = "rsa", message = "certificate", change = send(list()),
      code = "no_certificate",
      alert = "decode_error", state = "wait_certificate" },
    { "an empty list from a client that must have one", attack = "server", setup = "client_auth", message = "certificate",
      change = send(list()),
      code = "certificate_required_12", alert = "handshake_failure", state = "wait_certificate" },
    { "no list from a client that must have one", attack = "server", setup = "client_auth", client = { identity = {} },
      change = function() end,
      message = "certificate", code = "certificate_required_12", alert = "handshake_failure", state = "wait_certificate" },
  }
  forms(rows, "client", "rsa", "wait_certificate")
  forms(rows, "server", "client_auth", "wait_certificate")
  mutate.rows(it, rows)

  it("may be an empty list where a certificate is only requested", function()
    local attacked = mutate.attack { attack = "server", setup = "client_auth", server = { client_auth = "request" },
      client = { identity = {} } }
    assert.is_truthy(attacked.session, attacked.message)
    assert.is_nil(attacked.session.peer)
  end)

  it("of 20 certificates is read, and judged by what is needed", function()
    local id = certs.rsa().identity
    local many = { table.unpack(id.chain) }
    for _ = 1, 18 do many[#many + 1] = certs.ecdsa().identity.chain[2] end
    local attacked = mutate.attack { attack = "client", setup = "rsa", message = "certificate", change = send(list(table.unpack(many))) }
    assert.is_truthy(attacked.session, attacked.message)
  end)
end)

-- ---- keys that do not fit ------------------------------------------------------------------------------------------------------

describe("a certificate that does not fit the suite", function()
  local function row(name, setup, o, code, alert)
    return { name, attack = "client", setup = setup, message = "certificate", change = function()
      local leaf = testca.self_signed(o)
      return list(leaf.certificate)
    end, code = code, alert = alert, state = "wait_certificate" }
  end
  mutate.rows(it, {
    row("an ECDSA key with RSA key exchange", "rsa", { names = { "localhost" } }, "wrong_certificate_type", "unsupported_certificate"),
    row("an Ed25519 key with an RSA suite", "ecdhe_rsa", { key = "ed25519", names = { "localhost" } }, "wrong_certificate_type",
      "unsupported_certificate"),
    row("an RSA key with an ECDSA suite", "ecdhe", { key = certs.rsa().identity.key, names = { "localhost" } }, "wrong_certificate_type",
      "unsupported_certificate"),
    row("an RSA key that may only sign, with RSA key exchange", "rsa",
      { key = certs.rsa().identity.key, names = { "localhost" }, key_usage = { "digitalSignature" } }, "wrong_key_usage",
        "illegal_parameter"),
    row("a key that may only encrypt, with ECDHE", "ecdhe_rsa",
      { key = certs.rsa().identity.key, names = { "localhost" }, key_usage = { "keyEncipherment" } }, "wrong_key_usage",
        "illegal_parameter"),
  })

  it("a client's key that may not sign", function()
    mutate.expect { attack = "server", setup = "client_auth", message = "certificate", change = function()
      return list(testca.self_signed({ names = { "client" }, key_usage = { "keyAgreement" } }).certificate)
    end, code = "wrong_key_usage", alert = "illegal_parameter", state = "wait_certificate" }
  end)
end)

-- ---- chains that are not believed -------------------------------------------------------------------------------------------------

local now = os.time()

-- name, options of the leaf (or a function that makes its identity), code, alert
local server_leaves = {
  { "expired", { not_before = now - 30 * day, not_after = now - day }, "certificate_expired", "certificate_expired" },
  { "not yet valid", { not_before = now + day, not_after = now + 30 * day }, "certificate_not_yet_valid", "certificate_expired" },
  { "for another host", { names = { "other.example" } }, "host_mismatch", "bad_certificate" },
  { "for a parent domain's wildcard", { names = { "*.localhost" } }, "host_mismatch", "bad_certificate" },
  { "without a name", { names = {} }, "host_mismatch", "bad_certificate" },
  { "with the name in the CN alone", { name = "localhost", names = {} }, "host_mismatch", "bad_certificate" },
  { "for clients", { purpose = "client" }, "wrong_purpose", "unsupported_certificate" },
  { "for mail", { purpose = { "emailProtection" } }, "wrong_purpose", "unsupported_certificate" },
  { "with a bad signature", { tamper = true }, "certificate_signature", "bad_certificate" },
  { "signed with SHA-1", { hash = "sha1" }, "weak_signature", "bad_certificate" },
  { "with an unknown critical extension", { extensions = { { oid = "1.2.3.4", critical = true, value = "\5\0" } } },
    "unknown_critical_extension", "bad_certificate" },
  { "of an unknown CA",
    function() return testca.new({ name = "stranger" }):issue({ names = { "localhost" } }).identity end, "unknown_ca", "unknown_ca" },
  { "that is self-signed", function() return testca.self_signed({ names = { "localhost" } }).identity end, "self_signed", "unknown_ca" },
  { "whose issuer is no CA", function(ca)
    return ca:intermediate({ is_ca = false, purpose = "server", names = { "x" } }):issue({ names = { "localhost" } }).identity
  end, "not_a_ca", "bad_certificate" },
  { "below a CA that allows none", function(ca)
    return ca:intermediate({ path_length = 0 }):intermediate({ name = "below" }):issue({ names = { "localhost" } }).identity
  end, "path_too_long", "bad_certificate" },
  { "outside its CA's name constraints", function(ca)
    return ca:intermediate({ name_constraints = { permitted = { "DNS:example.com" } } }):issue({ names = { "localhost" } }).identity
  end, "name_constraint", "bad_certificate" },
  { "without its intermediate", function(ca)
    local leaf = ca:intermediate():issue { names = { "localhost" } }
    return akushu.identity { chain = { leaf.certificate }, key = leaf.key }
  end, "unknown_ca", "unknown_ca" },
}

describe("a server's certificate", function()
  local ca = testca.new {}
  local c = mutate.contexts("ecdhe", { trust = ca:trust() })

  for _, row in ipairs(server_leaves) do
    it(row[1], function()
      local o, identity = row[2]
      if type(o) == "function" then
        identity = o(ca)
      else
        local all = { names = { "localhost" } }
        for k, v in pairs(o) do all[k] = v end
        identity = ca:issue(all).identity
      end
      local _, s = mutate.contexts("ecdhe", nil, { identity = identity })
      local attacked = mutate.expect { contexts = { c, s }, attack = "client", code = row[3], alert = row[4], state = "wait_certificate" }
      local report = attacked.failure.report
      assert.is_truthy(report, "no report")
      assert.equal(row[3], report.verdict)
      assert.is_truthy(#tostring(report) > 20)
      assert.is_truthy(attacked.hs.report)
      assert.equal(identity.chain[1].der, attacked.hs.peer[1].der)
    end)
  end

  it("with a key that is too short", function()
    local leaf = ca:issue { key = "rsa:1024", names = { "localhost" } }
    local _, s = mutate.contexts("ecdhe_rsa", nil, { identity = leaf.identity, security_level = 1 })
    local client = mutate.contexts("ecdhe_rsa", { trust = ca:trust() })
    mutate.expect { contexts = { client, s }, attack = "client", code = "key_too_short", alert = "insufficient_security",
      state = "wait_certificate" }
  end)

  it("that is right is believed", function()
    local _, s = mutate.contexts("ecdhe", nil, { identity = ca:issue({ names = { "localhost" } }).identity })
    local attacked = mutate.attack { contexts = { c, s }, attack = "client" }
    assert.is_truthy(attacked.session, attacked.message)
    assert.equal("ok", attacked.session.report.verdict)
  end)
end)

describe("a client's certificate", function()
  local ca = testca.new {}
  local _, s = mutate.contexts("client_auth", nil, { trust = ca:trust() })

  local function refused(name, identity, code, alert)
    it(name, function()
      local c = mutate.contexts("client_auth", { identity = identity() })
      local attacked = mutate.expect { contexts = { c, s }, attack = "server", code = code, alert = alert, state = "wait_certificate" }
      assert.is_truthy(attacked.failure.report)
    end)
  end

  refused("expired", function()
    return ca:issue({ names = { "c" }, purpose = "client", not_before = now - 30 * day, not_after = now - day }).identity
  end, "certificate_expired", "certificate_expired")
  refused("for servers",
    function() return ca:issue({ names = { "c" }, purpose = "server" }).identity end, "wrong_purpose", "unsupported_certificate")
  refused("of an unknown CA",
    function() return testca.new({ name = "stranger" }):issue({ names = { "c" }, purpose = "client" }).identity end,
    "unknown_ca", "unknown_ca")
  refused("that is self-signed",
    function() return testca.self_signed({ names = { "c" }, purpose = "client" }).identity end, "self_signed", "unknown_ca")
  refused("with a bad signature", function() return ca:issue({ names = { "c" }, purpose = "client", tamper = true }).identity end,
    "certificate_signature", "bad_certificate")

  it("that is right is believed, whatever its name", function()
    local c = mutate.contexts("client_auth", { identity = ca:issue({ names = { "whoever" }, purpose = "client" }).identity })
    local attacked = mutate.attack { contexts = { c, s }, attack = "server" }
    assert.is_truthy(attacked.session, attacked.message)
    assert.is_truthy(attacked.session.peer)
  end)
end)

-- ---- CertificateRequest ----------------------------------------------------------------------------------------------------------

describe("a CertificateRequest", function()
  it("of an anonymous server ends the handshake (RFC 5246 §7.4.4)", function()
    local suites = { "TLS_DH_anon_WITH_AES_128_GCM_SHA256" }
    mutate.expect { attack = "client", setup = "rsa", client = { profile = "lab", suites = suites, verify = false },
      server = { profile = "lab", suites = suites }, message = "server_hello_done",
      change = function(_, ev) ev:before(message("certificate_request", "\1\1\0\2\4\1\0\0")) end, code = "anonymous_asks", alert = "handshake_failure",
      state = "wait_certificate_request" }
  end)

  local function row(name, body, code)
    return { name, attack = "client", setup = "client_auth", message = "certificate_request",
      change = send(message("certificate_request", body)),
      code = code or "decode_error", alert = "decode_error", state = "wait_certificate_request" }
  end
  mutate.rows(it, {
    row("without a certificate type", "\0\0\2\4\3\0\0"),
    row("without a scheme", "\1\64\0\0\0\0"),
    row("with half a scheme", "\1\64\0\3\4\3\4\0\0"),
    row("without CA names", "\1\64\0\2\4\3"),
    row("with CA names beyond its end", "\1\64\0\2\4\3\0\9\0\2ab"),
    row("with an empty CA name", "\1\64\0\2\4\3\0\2\0\0"),
    row("with a CA name beyond the list", "\1\64\0\2\4\3\0\4\0\9ab"),
    row("with bytes after it", "\1\64\0\2\4\3\0\0x", "trailing_data"),
    row("in the form of TLS 1.1", "\1\64\0\0"),
  })

  it("that no identity fits is answered with an empty list", function()
    for _, body in ipairs { "\1\1\0\2\4\3\0\0", "\1\64\0\2\8\4\0\0" } do
      mutate.expect { attack = "server", setup = "client_auth",
        hooks = { { "server", "send", "certificate_request", send(message("certificate_request", body)) } },
        code = "certificate_required_12", alert = "handshake_failure", state = "wait_certificate" }
    end
  end)
end)

-- ---- CertificateVerify --------------------------------------------------------------------------------------------------------------

describe("a CertificateVerify", function()
  local function row(name, change, code, alert, gate)
    return { name, attack = "server", setup = "client_auth", gate = gate, message = "certificate_verify", change = change, code = code,
      alert = alert,
      state = "wait_certificate_verify" }
  end
  mutate.rows(it, {
    row("with a changed signature", function(m) m.signature = mutate.flip(m.signature, #m.signature) end, "bad_signature", "decrypt_error"),
    row("with an empty signature", function(m) m.signature = "" end, "bad_signature", "decrypt_error"),
    row("with a signature that is no DER", function(m) m.signature = ("x"):rep(70) end, "bad_signature", "decrypt_error"),
    row("with bytes after the signature's DER", function(m) m.signature = m.signature .. "\0" end, "bad_signature", "decrypt_error"),
    row("with a scheme that was not offered", function(m) m.algorithm = "ecdsa_sha1" end, "wrong_scheme", "illegal_parameter"),
    row("with a scheme for another key", function(m) m.algorithm = "rsa_pss_rsae_sha256" end, "wrong_scheme", "illegal_parameter"),
    row("with a scheme that nobody knows", function(m) m.algorithm = 0xfefe end, "wrong_scheme", "illegal_parameter"),
    row("with another hash than it was made with",
      function(m) m.algorithm = "ecdsa_secp384r1_sha384" end, "bad_signature", "decrypt_error"),
    row("with bytes after it", function(m) m.trailing = "x" end, "trailing_data", "decode_error"),
  })

  -- The right messages, the right scheme, somebody else's key: what a thief of a certificate can do.
  it("made with another key", function()
    local messages = {}
    local hc, hs = mutate.handshakes "client_auth"
    local function note(_, ev)
      if ev.content_type == "handshake" then messages[#messages + 1] = ev.raw end
    end
    hc:on("receive", "*", note):on("send", "*", function(m, ev)
      if ev.name ~= "certificate_verify" then return note(m, ev) end
      local key = certs.ecdsa().identity.key
      m.signature = assert(key:sign("ecdsa_secp256r1_sha256", table.concat(messages)))
    end)
    local pump = require "spec.support.pump"
    local c, s = pump.run(hc, hs)
    mutate.failed_with(s, "bad_signature", "decrypt_error", "wait_certificate_verify")
    assert.equal("decrypt_error", c.failure.alert)
  end)

  -- The same with the right key: what is signed above is what is looked at.
  it("made by a script with the right key is believed", function()
    local messages = {}
    local hc, hs = mutate.handshakes "client_auth"
    local function note(_, ev)
      if ev.content_type == "handshake" then messages[#messages + 1] = ev.raw end
    end
    hc:on("receive", "*", note):on("send", "*", function(m, ev)
      if ev.name ~= "certificate_verify" then return note(m, ev) end
      local key = certs.leaf("ecdsa", "client").identity.key
      m.signature = assert(key:sign("ecdsa_secp256r1_sha256", table.concat(messages)))
    end)
    local pump = require "spec.support.pump"
    local c, s = pump.run(hc, hs)
    assert.is_truthy(s.session, s.message)
    assert.is_truthy(c.session, c.message)
  end)

  it("of another handshake", function()
    local old
    mutate.attack { attack = "server", setup = "client_auth", message = "certificate_verify", change = function(_, ev) old = ev.raw end }
    mutate.expect { attack = "server", setup = "client_auth", message = "certificate_verify", change = function() return old end,
      code = "bad_signature",
      alert = "decrypt_error", state = "wait_certificate_verify" }
  end)
end)
