-- oid_filters (RFC 8446 §4.2.5): what a client makes of them, in the handshake and after it; their wrong forms.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local der = require "akushu.der"
local pump = require "spec.support.pump"
local testca = require "akushu.testca"
local usages = require "akushu.usages"

local leaf = certs.ecdsa()
local ca = testca.new { key = "ec:secp256r1", name = "filters" }
local trust = ca:trust()

local function identity(name, o)
  o.names = { name }
  if o.purpose == nil then o.purpose = "client" end
  return ca:issue(o).identity
end

local signs = identity("signs.example", { key_usage = { "digitalSignature" } })
local both = identity("both.example", { key_usage = { "digitalSignature", "keyAgreement" }, purpose = { "clientAuth", "emailProtection", "1.3.6.1.4.1.5555.1" } })
local bare = identity("bare.example", { key_usage = false, purpose = false })

-- A handshake in which the server asks as told; its two ends.
local function run(o)
  local c = akushu.client { trust = leaf.trust, identity = o.identities, on_identity = o.on_identity, versions = "1.3", post_handshake_auth = o.post, hooks = o.hooks }
  local s = akushu.server { identity = leaf.identity, trust = trust, client_auth = not o.post and "request" or nil, post_handshake_auth = o.post,
    oid_filters = o.filters, hooks = o.server_hooks }
  local a, b = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
  if o.post and a.session and b.session then
    a:deliver(assert(b.session:request_certificate()))
    pump.move(a, b)
  end
  return a, b
end

-- The name of the certificate that the client chose; nil: none.
local function chosen(o)
  local a, b = run(o)
  assert.is_nil(a.failure, a.message)
  assert.is_nil(b.failure, b.message)
  return b.session.peer and b.session.peer.certificate.subject:match "CN=([^,.]+)"
end

describe("oid_filters: a client's choice", function()
  local all = { signs, both, bare }
  for _, post in ipairs { false, true } do
    local where = post and " (after the handshake)" or ""
    local function expect(name, filters, identities)
      assert.equal(name, chosen { filters = filters, identities = identities or all, post = post })
    end

    it("by keyUsage: all bits that are asked for" .. where, function()
      expect("signs", { key_usage = { "digitalSignature" } })
      expect("both", { key_usage = { "keyAgreement" } })
      expect("both", { key_usage = { "digitalSignature", "keyAgreement" } })
      expect(nil, { key_usage = { "digitalSignature", "cRLSign" } })
      expect(nil, { key_usage = { "decipherOnly" } })
    end)

    it("by extKeyUsage: all purposes that are asked for" .. where, function()
      expect("signs", { ext_key_usage = { "clientAuth" } })
      expect("both", { ext_key_usage = { "emailProtection" } })
      expect("both", { ext_key_usage = { "1.3.6.1.4.1.5555.1", "clientAuth" } })
      expect(nil, { ext_key_usage = { "1.3.6.1.4.1.5555.1", "codeSigning" } })
      expect(nil, { ext_key_usage = { "1.3.6.1.4.1.5555" } })
    end)

    it("a certificate without the extension does not match; both must" .. where, function()
      expect(nil, { key_usage = { "digitalSignature" } }, { bare })
      expect(nil, { ext_key_usage = { "clientAuth" } }, { bare })
      expect("both", { key_usage = { "keyAgreement" }, ext_key_usage = { "clientAuth" } })
      expect(nil, { key_usage = { "keyAgreement" }, ext_key_usage = { "codeSigning" } })
    end)

    it("what is not known is ignored" .. where, function()
      expect("bare", { ["1.2.3.4"] = der.null() }, { bare })
      expect("both", { ["1.2.3.4"] = "anything", key_usage = { "keyAgreement" } })
    end)
  end

  it("a script sees them", function()
    local seen
    chosen { filters = { key_usage = { "keyAgreement" } }, identities = {}, on_identity = function(_, _, request)
      for _, e in ipairs(request.extensions) do
        if e.type == "oid_filters" then seen = e.data.filters end
      end
      return both
    end }
    assert.same({ { certificate_extension_oid = der.oid "2.5.29.15", certificate_extension_values = usages.key_usage { "keyAgreement" } } }, seen)
  end)
end)

describe("oid_filters: wrong forms", function()
  local ku, eku = der.oid "2.5.29.15", der.oid "2.5.29.37"
  local function filter(oid, value) return string.pack(">s1s2", oid, value) end
  local function list(...) return string.pack(">s2", table.concat { ... }) end
  local bits = usages.key_usage { "digitalSignature" }
  local many = {}
  for i = 1, 65 do many[i] = filter(der.oid("1.2.3." .. i), "") end
  local rows = {
    { "an empty extension", "", "decode_error" },
    { "a list that is cut short", list(filter(ku, bits)):sub(1, -2), "decode_error" },
    { "bytes after the list", list(filter(ku, bits)) .. "x", "decode_error" },
    { "an empty OID", list(filter("", bits)), "decode_error" },
    { "an OID without its tag", list(filter(ku:sub(3), bits)), "decode_error" },
    { "an OID with bytes after it", list(filter(ku .. "\0", bits)), "decode_error" },
    { "a value whose length goes past the end", list("\5" .. ku .. "\0\9" .. bits), "decode_error" },
    { "a keyUsage that is no BIT STRING", list(filter(ku, der.octets "\x80")), "decode_error" },
    { "a keyUsage without a value", list(filter(ku, "")), "decode_error" },
    { "a keyUsage with bytes after it", list(filter(ku, bits .. "\0")), "decode_error" },
    { "an extKeyUsage that is no list", list(filter(eku, der.oid "1.2.3")), "decode_error" },
    { "an extKeyUsage of something else", list(filter(eku, der.sequence(der.null()))), "decode_error" },
    { "an extKeyUsage that is cut short", list(filter(eku, der.sequence(der.oid "1.2.3"):sub(1, -2))), "decode_error" },
    { "anyExtendedKeyUsage", list(filter(eku, usages.ext_key_usage { "any" })), "illegal_parameter" },
    { "keyUsage twice", list(filter(ku, bits), filter(ku, bits)), "illegal_parameter" },
    { "an unknown OID twice", list(filter(der.oid "1.2.3", "a"), filter(ku, bits), filter(der.oid "1.2.3", "b")), "illegal_parameter" },
    { "more than anybody asks", list(table.unpack(many)), "illegal_parameter" },
  }
  for _, row in ipairs(rows) do
    it(row[1], function()
      for _, post in ipairs { false, true } do
        local a, b = run { identities = signs, post = post, server_hooks = { { "compose", "certificate_request", function(m)
          table.insert(m.extensions, { type = "oid_filters", data = row[2] })
        end } } }
        assert.equal(row[3], a.failure.alert, a.message)
        assert.equal("wait_certificate_request", a.failure.state)
        assert.equal("peer_alert", b.failure.code)
        assert.equal(row[3], b.failure.alert)
      end
    end)
  end

  it("an empty list, and a value of nothing known, ask for nothing", function()
    for _, bytes in ipairs { list(), list(filter(der.oid "1.2.3", "")) } do
      local a, b = run { identities = bare, server_hooks = { { "compose", "certificate_request", function(m)
        table.insert(m.extensions, { type = "oid_filters", data = bytes })
      end } } }
      assert.is_nil(a.failure, a.message)
      assert.is_truthy(b.session.peer)
    end
  end)

  it("in another message are refused", function()
    local a = run { identities = signs, server_hooks = { { "compose", "encrypted_extensions", function(m)
      table.insert(m.extensions, { type = "oid_filters", data = list() })
    end } } }
    assert.is_truthy(a.failure.alert == "unsupported_extension" or a.failure.alert == "illegal_parameter", a.message)
  end)
end)

it("the option oid_filters", function()
  local function server(filters) return akushu.server { identity = leaf.identity, oid_filters = filters } end
  for _, wrong in ipairs { 1, true, "2.5.29.15", {}, { key_usage = {} }, { key_usage = "digitalSignature" }, { key_usage = { "dancing" } },
    { ext_key_usage = { "any" } }, { ext_key_usage = { "clientAuth", "nothing" } }, { ["1.2.3"] = 1 }, { "1.2.3" }, { oid = "x" } } do
    local ok, message = pcall(server, wrong)
    assert.is_false(ok)
    assert.is_truthy(message:find("option 'oid_filters'", 1, true), message)
  end
  assert.is_truthy(server { key_usage = { "digitalSignature" }, ["1.2.3"] = "" })
  assert.has_error(function() akushu.client { trust = leaf.trust, oid_filters = { key_usage = { "digitalSignature" } } } end)
end)
