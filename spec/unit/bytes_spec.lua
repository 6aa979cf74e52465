-- Where bytes go in, a string goes in, and an array of strings.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local pump = require "spec.support.pump"

local ca = akushu.testca.new { name = "bytes" }
local issued = ca:issue { names = { "localhost" }, key = "ec:secp256r1" }
local pem, pem_key = issued.identity.certificate.pem, issued.pem_key

-- In three parts, one of them empty.
local function parts(s) return { s:sub(1, 7), "", s:sub(8) } end

local function client(o)
  o = o or {}
  o.trust = o.trust or ca:trust()
  return akushu.client(o)
end

local function server(o)
  o = o or {}
  o.identity = o.identity or issued.identity
  return akushu.server(o)
end

local function connect(c, s, session) return pump.run((c or client()):handshake { server_name = "localhost", session = session }, (s or server()):handshake()) end

local one, other = connect()
local function kept() return connect().session:resumption() end

-- name → a function of bytes; what it gives for an array must be what it gives for the string
local takers = {
  ["akushu.certificate, PEM"] = { pem, function(b) return assert(akushu.certificate(b)).fingerprint end },
  ["akushu.certificate, DER"] = { issued.identity.certificate.der, function(b) return assert(akushu.certificate(b)).fingerprint end },
  ["akushu.private_key"] = { pem_key, function(b) return assert(akushu.private_key(b)).spki end },
  ["akushu.secret"] = { "0123456789abcdef", function(b) return akushu.secret(b):reveal() end },
  ["akushu.resumption"] = { kept():serialize(), function(b) return assert(akushu.resumption(b)):serialize() end },
  ["akushu.trust.pem"] = { ca:pem(), function(b) return #assert(akushu.trust.pem(b)) end },
  ["akushu.trust{ pem = }"] = { ca:pem(), function(b) return #assert(akushu.trust { pem = b }) end },
  ["akushu.identity{ key = }"] = { pem_key, function(b) return assert(akushu.identity { chain = pem, key = b }).key.spki end },
  ["akushu.identity{ ocsp = }"] = { "\48\3\10\1\3", function(b) return assert(akushu.identity { chain = pem, key = pem_key, ocsp = b }).ocsp end },
  ["identity:set_ocsp"] = { "\48\3\10\1\3", function(b)
    local identity = assert(akushu.identity { chain = pem, key = pem_key })
    return identity:set_ocsp(b).ocsp
  end },
  ["context:set_ticket_keys"] = { ("k"):rep(96), function(b)
    local s = server()
    s:set_ticket_keys(b)
    local again = server()
    again:set_ticket_keys(s:ticket_keys())
    assert.equal(s:ticket_keys(), again:ticket_keys())
    return s:ticket_keys():reveal()
  end },
  ["option ticket_keys"] = { ("k"):rep(96), function(b) return server({ ticket_keys = b }):ticket_keys():reveal() end },
  ["option psk"] = { "a key of sixteen", function(b)
    local both = { suites = { "TLS_PSK_WITH_AES_128_GCM_SHA256" }, versions = "1.2" }
    local c = akushu.client { suites = both.suites, versions = "1.2", verify = false, psk = { identity = parts "somebody", key = b } }
    local s = akushu.server { suites = both.suites, versions = "1.2", psk = { identity = "somebody", key = "a key of sixteen" } }
    local a = pump.run(c:handshake(), s:handshake())
    return assert(a.session, a.message).suite
  end },
  ["session:export"] = { "a context", function(b) return one.session:export("EXPORTER-some label", b, 32) end },
  ["session:seal and :open"] = { "hello, world", function(b)
    local sealed = assert(one.session:seal(b))
    return (assert(other.session:open(parts(sealed))))
  end },
  ["hs:step"] = { "", function()
    local c, s = client():handshake { server_name = "localhost" }, server():handshake()
    local out = assert(s:step(parts(assert(c:start()))))
    out = assert(c:step(parts(out)))
    assert(s:step(parts(out)))
    return tostring(s.done)
  end },
  ["key:sign and :verify"] = { "signed", function(b)
    local signature = assert(issued.identity.key:sign("ecdsa_secp256r1_sha256", b))
    assert.is_true(issued.identity.key:verify("ecdsa_secp256r1_sha256", parts "signed", parts(signature)))
    return tostring(issued.identity.certificate:verify("ecdsa_secp256r1_sha256", b, parts(signature)))
  end },
  ["crypto.digest"] = { "some text", function(b) return akushu.crypto.digest("sha256", b) end },
  ["lab:give"] = { ("\7"):rep(32), function(b) return akushu.lab({}):give("client_random", b):random("client_random", 32) end },
  ["wire.decode"] = { assert(client():handshake({ server_name = "localhost" }):start()):sub(6), function(b) return akushu.wire.encode(akushu.wire.decode(b)) end },
}

describe("bytes", function()
  for name, row in pairs(takers) do
    local bytes, take = row[1], row[2]
    it("in parts: " .. name, function() assert.equal(take(bytes), take(parts(bytes))) end)

    it("are not numbers, nor other tables: " .. name, function()
      if name == "hs:step" then take = function(b) return server():handshake():step(b) end end
      for _, wrong in ipairs { 5, true, { 5 }, { "x", {} }, { bytes = "x" } } do
        local ok, message = pcall(function() local x = take(wrong) return x end)
        assert.is_false(ok)
        assert.is_nil(tostring(message):find("lua/akushu/", 1, true), message)
      end
    end)
  end

  it("an empty array is no bytes", function()
    assert.equal("", one.session:seal {})
    assert.equal("", akushu.secret({}):reveal())
  end)

  it("an array of certificates is a list of them", function()
    local files = certs.ecdsa()
    assert.equal(2, #assert(akushu.certificates { pem, files.identity.certificate.der }))
  end)
end)
