-- Famous bugs that no other spec looks at by name; docs/past-bugs.md lists them all, and says where each is proved.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local core = require "akushu.core"
local der = require "akushu.der"
local mutate = require "spec.support.mutate"
local pump = require "spec.support.pump"

local profiles = { "modern", "compatible", "classic", "lab" }

-- The ClientHello of a client with these options.
local function client_hello(o)
  local hs, hello = akushu.client(o):handshake { server_name = "localhost" }, nil
  hs:on("send", "client_hello", function(m) hello = m end)
  assert(hs:start())
  return hello
end

local hex = require("spec.support.vectors").from_hex

describe("CRIME", function()
  it("compression is never offered", function()
    for _, profile in ipairs(profiles) do
      local hello = client_hello { verify = false, profile = profile }
      assert.equal(1, #hello.compression_methods)
      assert.is_truthy(hello.compression_methods[1] == 0 or hello.compression_methods[1] == "null")
    end
  end)

  it("compression is never chosen, though it is offered first", function()
    local chosen
    local attacked = mutate.attack { setup = "ecdhe", attack = "server", message = "client_hello",
      change = function(m) m.compression_methods = { 1, 64, 0 } end,
      hooks = { { "server", "send", "server_hello", function(m) chosen = m.compression_method end } } }
    assert.is_truthy(attacked.session, attacked.message)
    assert.is_truthy(chosen == 0 or chosen == "null")
  end)
end)

describe("Sweet32, RC4, FREAK, Logjam", function()
  it("3DES is in the lab's profile alone; RC4, DES and export suites are in none", function()
    for _, profile in ipairs(profiles) do
      for _, suite in ipairs(client_hello({ verify = false, profile = profile }).cipher_suites) do
        local name = tostring(suite)
        if profile ~= "lab" then assert.is_nil(name:find "3DES", profile .. ": " .. name) end
        for _, bad in ipairs { "RC4", "EXPORT", "_DES_", "DES40", "RC2", "IDEA" } do assert.is_nil(name:find(bad, 1, true), profile .. ": " .. name) end
      end
    end
    assert.has_error(function() akushu.client { verify = false, suites = { "TLS_RSA_EXPORT_WITH_RC4_40_MD5" } } end)
    assert.has_error(function() akushu.client { verify = false, suites = { "TLS_RSA_WITH_RC4_128_SHA" } } end)
  end)
end)

describe("SLOTH", function()
  it("MD5 is no hash for signatures: not offered, and not believed in a ServerKeyExchange", function()
    for _, profile in ipairs(profiles) do
      local schemes = mutate.extension(client_hello { verify = false, profile = profile }, "signature_algorithms").data.supported_signature_algorithms
      assert.is_true(#schemes > 0)
      for _, scheme in ipairs(schemes) do
        local number = type(scheme) == "number" and scheme or akushu.wire.number("schemes", scheme)
        assert.not_equal(1, number >> 8)
      end
    end
    mutate.expect { setup = "ecdhe_rsa", attack = "client", message = "server_key_exchange", change = function(m) m.algorithm = 0x0101 end,
      code = "wrong_scheme", alert = "illegal_parameter", state = "wait_server_key_exchange" }
  end)

  it("nor in a CertificateVerify", function()
    mutate.expect { setup = "client_auth", attack = "server", message = "certificate_verify", change = function(m) m.algorithm = 0x0103 end,
      code = "wrong_scheme", alert = "illegal_parameter", state = "wait_certificate_verify" }
  end)
end)

describe("Bleichenbacher's signature forgery (2006)", function()
  -- The modulus does not matter: for e = 3 the cube stays below it. The cube of this number begins with 00 01 ff … 00, the DigestInfo of SHA-256 and
  -- the hash of "forged"; what follows is garbage.
  local root = hex("32cbfd4a7adc7905583d767520f51640759176d37826f2ef63ae3dc7ace44fc061a4b3170290639a174f250874a9e7dd7fdd6fbebf5ada66cbb490f65737d36" ..
    "5fdd6ddcfab5bbdeb4c26fe262c0f3e5c670d001c01")
  local forged = ("\0"):rep(256 - #root) .. root

  it("a signature with garbage behind the hash is none", function()
    local modulus = ("\xff"):rep(256)
    local spki = der.sequence(der.sequence(der.oid "1.2.840.113549.1.1.1", der.null()),
      der.bits(der.sequence(der.integer(modulus), der.integer "\3")))
    local key = core.crypto.public_key(spki)
    local ok, _, failure = assert(key):verify("rsa_pkcs1_sha256", "forged", forged)
    assert.is_falsy(ok)
    assert.equal("bad_signature", failure.code)
  end)

  it("the forgery is what it is said to be", function()
    local function multiply(a, b) -- digits of one byte, the lowest first
      local out = {}
      for i = 1, #a do
        local carry = 0
        for j = 1, #b do
          local v = (out[i + j - 1] or 0) + a[i] * b[j] + carry
          out[i + j - 1], carry = v & 255, v >> 8
        end
        out[i + #b] = carry
      end
      return out
    end
    local digits = { root:reverse():byte(1, -1) }
    local cube = multiply(multiply(digits, digits), digits)
    local text = string.char(table.unpack(cube)):reverse():match "^\0*(.*)$"
    local info = hex "3031300d060960864801650304020105000420" .. akushu.crypto.digest("sha256", "forged")
    assert.equal(255, #text) -- and the zero before it
    assert.equal("\1" .. ("\xff"):rep(8) .. "\0" .. info, text:sub(1, 10 + #info))
  end)
end)

describe("Raccoon, and keys that are used twice", function()
  for _, setup in ipairs { "dhe", "ecdhe", "tls13" } do
    it("a share is made for one handshake alone: " .. setup, function()
      local seen = {}
      for _ = 1, 4 do
        local hc, hs = mutate.handshakes(setup)
        local shares = {}
        if setup == "tls13" then
          hc:on("send", "client_hello", function(m) shares[1] = mutate.extension(m, "key_share").data.key_shares[1].key_exchange end)
          hs:on("send", "server_hello", function(m) shares[2] = mutate.extension(m, "key_share").data.key_exchange end)
        else
          hc:on("send", "client_key_exchange", function(_, ev) shares[1] = ev.raw end)
          hs:on("send", "server_key_exchange", function(m) shares[2] = m.params.point or m.params.dh_ys end)
        end
        local c = pump.run(hc, hs)
        assert.is_truthy(c.session, c.message)
        for side = 1, 2 do
          local share = assert(shares[side], side)
          assert.is_nil(seen[share])
          seen[share] = true
        end
      end
    end)
  end
end)

describe("nonces of AES-GCM (CVE-2016-0270 and its kin)", function()
  it("count, and never come twice", function()
    local c, s = pump.run(mutate.handshakes "ecdhe")
    local seen = {}
    for _ = 1, 50 do
      local bytes, at = assert(c.session:seal(("x"):rep(40000))), 1
      while at <= #bytes do
        local _, _, fragment, after = string.unpack(">BI2s2", bytes, at)
        local nonce = fragment:sub(1, 8)
        assert.is_nil(seen[nonce])
        seen[nonce], at = true, after
      end
    end
    assert.is_truthy(s.session)
  end)
end)

describe("Ticketbleed", function()
  it("a session id of any length beside a ticket comes back as it is, and not a byte more", function()
    for n = 1, 32 do
      local resumption, c, s = mutate.session("ecdhe", { tickets = true }, { tickets = true })
      assert.equal("ticket", resumption.kind)
      local hc, hs = c:handshake { server_name = "localhost", session = resumption }, s:handshake()
      local echoed
      hc:on("send", "client_hello", function(m) m.session_id = ("i"):rep(n) end)
      hs:on("send", "server_hello", function(m) echoed = m.session_id end)
      pump.run(hc, hs)
      assert.is_true(hs.resumed)
      assert.equal(("i"):rep(n), echoed)
    end
  end)
end)

describe("ticket keys (CVE-2020-13777: keys of zeros)", function()
  for _, version in ipairs { "1.2", "1.3" } do
    it("are made at random for each context, from the first ticket on, TLS " .. version, function()
      local leaf = certs.ecdsa()
      local function server() return akushu.server { identity = leaf.identity, versions = version } end
      local c, one, other = akushu.client { trust = leaf.trust, versions = version }, server(), server()
      local a, b = pump.run(c:handshake { server_name = "localhost" }, one:handshake())
      pump.transfer(b, a, "x")
      local kept = assert(a.session:resumption())
      a = pump.run(c:handshake { server_name = "localhost", session = kept }, other:handshake())
      assert.is_truthy(a.session, a.message)
      assert.is_false(a.session.resumed)
    end)
  end

  it("a ticket shows nothing of the session, and two of one session are not alike", function()
    local tickets, master = {}, nil
    for i = 1, 2 do
      local hc, hs = mutate.handshakes("ecdhe", { tickets = true }, { tickets = true, ticket_keys = ("k"):rep(48) })
      hs:on("send", "new_session_ticket", function(m)
        tickets[i] = m.ticket
        master = hs:secret("master"):reveal()
      end)
      assert.is_truthy(pump.run(hc, hs).session)
      assert.is_nil(tickets[i]:find(master, 1, true))
    end
    assert.not_equal(tickets[1]:sub(1, 64), tickets[2]:sub(1, 64))
  end)
end)

describe("ALPACA", function()
  it("a server that was asked for another protocol, or under another name, can refuse", function()
    mutate.expect { setup = "ecdhe", attack = "server", client = { alpn = { "ftp" } }, server = { alpn = { "h2", "http/1.1" } },
      message = "client_hello", change = function() end, code = "no_application_protocol", alert = "no_application_protocol" }
    local asked
    mutate.expect { setup = "ecdhe", attack = "server", server = { identity = {}, on_identity = function(name)
      asked = name
      return name == "mail.example" and certs.ecdsa().identity or nil
    end }, message = "client_hello", change = function() end, code = "no_shared_suite", alert = "handshake_failure" }
    assert.equal("localhost", asked)
  end)
end)

describe("Lucky 13, POODLE", function()
  it("a padding that is wrong and a MAC that is wrong end with the same code, words, alert and state", function()
    local said, size = {}, nil
    for name, at in pairs { padding = -1, block = -17, mac = -33, data = 22 } do
      local c, s = pump.run(mutate.handshakes "cbc")
      local bytes = assert(c.session:seal(("x"):rep(60)))
      local plain, message, failure = s.session:open(mutate.flip(bytes, at < 0 and #bytes + at + 1 or at, 0x80))
      assert.is_nil(plain)
      assert.equal("bad_record_mac", failure.alert)
      said[#said + 1] = message .. "/" .. failure.code .. "/" .. failure.state .. "/" .. tostring(failure.detail)
      assert.equal(said[1], said[#said], name)
      local reply = s.session:pending()
      size = size or #reply
      assert.equal(size, #reply)
    end
  end)

  it("SSL 3.0, whose padding nobody can check, is in no profile: it must be named", function()
    for _, profile in ipairs(profiles) do
      local hello = client_hello { verify = false, profile = profile }
      assert.not_equal("SSL 3.0", hello.legacy_version)
      for _, name in ipairs { "versions", "min_version", "max_version" } do
        local taken, message = pcall(akushu.client, { verify = false, profile = profile, [name] = "SSL 3.0", suites = "TLS_RSA_WITH_AES_128_CBC_SHA" })
        assert.equal(profile == "lab", taken)
        assert.is_true(taken or message:find(("option '%s': SSL 3.0"):format(name), 1, true) ~= nil and message:find(profile, 1, true) ~= nil)
      end
    end
    mutate.expect { setup = "cbc", attack = "server", message = "client_hello", change = function(m) m.legacy_version = 0x0300 end,
      code = "unsupported_version", alert = "protocol_version" }
  end)
end)
