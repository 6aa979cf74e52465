-- akushu with akushu, TLS 1.2: suites × extended master secret × encrypt-then-MAC × resumption × fragments × chains × keys × groups × client authentication.
local akushu = require "akushu"
local pump = require "spec.support.pump"
local testca = require "akushu.testca"
local merge = require "spec.support.merge"

-- ---- identities, made once -----------------------------------------------------------------------------------------------------

local ca = testca.new { name = "matrix root" }
local trust = ca:trust()
local identities = {}

local function identity(key)
  if not identities[key] then identities[key] = ca:issue({ key = key, names = { "localhost" } }).identity end
  return identities[key]
end

local key_of_auth = { rsa = "rsa:2048", ecdsa = "ec:secp256r1" }

-- ---- one pair ---------------------------------------------------------------------------------------------------------------------

local sizes = { 1, 15, 16, 17, 1000, 16384, 16385, 40000 }
local text = ("0123456789abcdef"):rep(2500)

-- Both ends agree, talk, and say goodbye.
local function check(c, s, expected, chunk, short)
  assert.is_truthy(c.session, c.message)
  assert.is_truthy(s.session, s.message)
  local a, b = c.session, s.session
  for _, name in ipairs { "version", "suite", "group", "extended_master_secret", "encrypt_then_mac", "resumed", "alpn", "client_random", "server_random",
    "client_finished", "server_finished" } do
    assert.equal(a[name], b[name], name)
  end
  for name, value in pairs(expected or {}) do assert.equal(value, a[name], name) end
  assert.equal(a:export("EXPERIMENTAL label", nil, 40), b:export("EXPERIMENTAL label", nil, 40))
  assert.equal(a:export("EXPERIMENTAL label", "context", 16), b:export("EXPERIMENTAL label", "context", 16))
  assert.not_equal(a:export("EXPERIMENTAL label", nil, 16), a:export("EXPERIMENTAL label", "", 16))
  for _, n in ipairs(short and { 1, 300 } or sizes) do
    local data = text:sub(1, n)
    assert.equal(data, pump.transfer(c, s, data, chunk))
    assert.equal(data, pump.transfer(s, c, data, chunk))
  end
  local resumption = a:resumption()
  local bye = a:close_write()
  s:deliver(bye)
  assert.equal("peer_closed", b.state)
  assert.equal("closed", s.failure.code)
  local answer = assert(b:close())
  local plain, _, failure = a:open(answer)
  assert.is_nil(plain)
  assert.equal("closed", failure.code)
  assert.equal("peer_closed", a.state)
  assert.is_string(a:close())
  assert.equal("closed", a.state)
  return resumption
end

-- client, server: contexts. Returns what can be resumed.
local function meet(client, server, expected, o)
  o = o or {}
  local c, s = pump.run(client:handshake { server_name = "localhost", session = o.session }, server:handshake(), { chunk = o.chunk })
  return check(c, s, expected, o.chunk, o.short)
end

-- Suites that prove nobody or encrypt nothing are for the profile "lab" alone.
local function contexts(client, server, both)
  both = merge({ versions = "1.2", profile = "lab", tickets = false }, both or {})
  return akushu.client(merge(both, { trust = trust }, client or {})), akushu.server(merge(both, server or {}))
end

-- ---- suites ---------------------------------------------------------------------------------------------------------------------------

-- All that this libcrypto can do in TLS 1.2 and that need no pre-shared key.
local suites = {}
for _, s in ipairs(akushu.crypto.suites()) do
  if s.usable and s.min_version <= 0x0303 and s.max_version >= 0x0303 and not s.kx:find "psk" then suites[#suites + 1] = s end
end

describe("TLS 1.2, every suite", function()
  for _, suite in ipairs(suites) do
    for _, ems in ipairs { true, false } do
      for _, etm in ipairs(suite.kind == "cbc" and { true, false } or { true }) do
        it(("%s%s%s: full, by id, by ticket"):format(suite.name, ems and "" or ", no EMS", etm and "" or ", no EtM"), function()
          local key = key_of_auth[suite.auth]
          local both = { suites = { suite.name }, extended_master_secret = ems, encrypt_then_mac = etm, security_level = 0 }
          local anonymous = key == nil
          local server = { identity = key and identity(key) or nil }
          local expected = { suite = suite.name, version = "1.2", extended_master_secret = ems, encrypt_then_mac = etm and suite.kind == "cbc", resumed = false }
          for _, tickets in ipairs { false, true } do
            local c, s = contexts(anonymous and { verify = false } or nil, server, merge(both, { tickets = tickets }))
            local session = meet(c, s, expected, { short = tickets })
            assert.is_truthy(session, "nothing to resume")
            assert.equal(tickets and "ticket" or "session_id", session.kind)
            local again = meet(c, s, merge(expected, { resumed = true }), { session = session, short = true })
            meet(c, s, merge(expected, { resumed = true }), { session = assert(akushu.resumption(again:serialize())), short = true })
          end
        end)
      end
    end
  end
end)

-- ---- fragments ------------------------------------------------------------------------------------------------------------------------

local modes = {
  { "AEAD", { suites = { "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" } } },
  { "ChaCha20", { suites = { "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" } } },
  { "CCM_8", { suites = { "TLS_RSA_WITH_AES_128_CCM_8" } } },
  { "CBC", { suites = { "TLS_RSA_WITH_AES_256_CBC_SHA256" }, encrypt_then_mac = false } },
  { "CBC, encrypt-then-MAC", { suites = { "TLS_RSA_WITH_AES_256_CBC_SHA" } } },
}

describe("TLS 1.2, fragments", function()
  for _, mode in ipairs(modes) do
    for _, send in ipairs { 1, 64, 1000, 16384 } do
      for _, chunk in ipairs { 1, 2, 7, 100 } do
        local tag = send == 1 and chunk < 7 and " #slow" or ""
        it(("%s: records of %d bytes, %d at a time%s"):format(mode[1], send, chunk, tag), function()
          local c, s = contexts(nil, { identity = identity "rsa:2048" }, merge(mode[2], { max_fragment = send }))
          local session = meet(c, s, { resumed = false }, { chunk = chunk, short = true })
          meet(c, s, { resumed = true }, { chunk = chunk, short = true, session = session })
        end)
      end
    end
  end
end)

-- ---- chains ------------------------------------------------------------------------------------------------------------------------------

describe("TLS 1.2, chains", function()
  local issuer, depth = ca, 1
  local leaves = {}
  while depth <= 4 do
    leaves[depth] = issuer:issue { names = { "localhost" } }
    issuer, depth = issuer:intermediate { name = "level " .. depth }, depth + 1
  end

  for n, leaf in ipairs(leaves) do
    it(("%d certificates sent"):format(n), function()
      local c, s = contexts(nil, { identity = leaf.identity })
      local client = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
      assert.equal(n, #client.session.peer)
      assert.equal(n + 1, #client.session.report.chain)
      meet(c, s)
    end)

    it(("%d certificates sent, self-signed root, too"):format(n), function()
      local chain = { table.unpack(leaf.chain) }
      chain[#chain + 1] = ca.certificate
      local c, s = contexts(nil, { identity = akushu.identity { chain = chain, key = leaf.key } })
      meet(c, s)
    end)

    it(("%d certificates sent, in the wrong order"):format(n), function()
      local chain = { leaf.chain[1] }
      for i = #leaf.chain, 2, -1 do chain[#chain + 1] = leaf.chain[i] end
      local c, s = contexts(nil, { identity = akushu.identity { chain = chain, key = leaf.key } })
      meet(c, s)
    end)
  end
end)

-- ---- keys, schemes, groups -----------------------------------------------------------------------------------------------------------------

local keys = {
  { "rsa:2048", { "rsa_pkcs1_sha256", "rsa_pkcs1_sha384", "rsa_pkcs1_sha512", "rsa_pss_rsae_sha256", "rsa_pss_rsae_sha384", "rsa_pss_rsae_sha512" } },
  { "rsa:3072", { "rsa_pkcs1_sha256", "rsa_pss_rsae_sha512" } },
  { "rsa-pss:2048", { "rsa_pss_pss_sha256", "rsa_pss_pss_sha384", "rsa_pss_pss_sha512" } },
  { "ec:secp256r1", { "ecdsa_secp256r1_sha256", "ecdsa_secp384r1_sha384", "ecdsa_secp521r1_sha512" } },
  { "ec:secp384r1", { "ecdsa_secp256r1_sha256", "ecdsa_secp384r1_sha384" } },
  { "ec:secp521r1", { "ecdsa_secp521r1_sha512" } },
  { "ed25519", { "ed25519" } },
  { "ed448", { "ed448" } },
}

local function signing_suite(key)
  return key:find "^rsa" and "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" or "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
end

describe("TLS 1.2, keys and signature schemes", function()
  for _, row in ipairs(keys) do
    for _, scheme in ipairs(row[2]) do
      it(("%s signs with %s, as server and as client"):format(row[1], scheme), function()
        local both = { suites = { signing_suite(row[1]) } }
        local all = { scheme, "ecdsa_secp256r1_sha256" } -- the CA's, for the chain
        if scheme == all[2] then all[2] = nil end
        local c, s = contexts({ schemes = all }, { identity = identity(row[1]), schemes = all }, both)
        local client, server = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
        check(client, server, { scheme = scheme }, nil, true)
        assert.equal(scheme, server.session.own_scheme)

        c, s = contexts({ identity = identity(row[1]), schemes = all }, { identity = identity "ec:secp256r1", client_auth = "require", trust = trust, schemes = all },
          { suites = { "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" } })
        client, server = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
        check(client, server, { own_scheme = scheme }, nil, true)
        assert.equal(scheme, server.session.scheme)
        assert.is_truthy(server.session.peer)
      end)
    end
  end
end)

describe("TLS 1.2, groups", function()
  for _, group in ipairs { "x25519", "x448", "secp256r1", "secp384r1", "secp521r1", "ffdhe2048", "ffdhe3072", "ffdhe4096" } do
    it(group, function()
      local dhe = group:find "^ffdhe"
      local suite = dhe and "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256" or "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
      local c, s = contexts(nil, { identity = identity "rsa:2048", groups = { group } }, { suites = { suite } })
      meet(c, s, { group = group, suite = suite }, { short = true })
      c, s = contexts({ groups = { group } }, { identity = identity "rsa:2048" }, { suites = { suite } })
      meet(c, s, { group = group, suite = suite }, { short = true })
    end)
  end
end)

-- ---- client authentication ----------------------------------------------------------------------------------------------------------------

describe("TLS 1.2, client authentication", function()
  for _, suite in ipairs { "TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_DHE_RSA_WITH_AES_128_CBC_SHA" } do
    for _, auth in ipairs { "none", "request", "require" } do
      for _, has in ipairs { true, false } do
        if auth ~= "require" or has then
          it(("%s: %s, the client has %s"):format(suite, auth, has and "one" or "none"), function()
            local c, s = contexts({ identity = has and identity "ec:secp256r1" or nil },
              { identity = identity "rsa:2048", client_auth = auth, trust = auth ~= "none" and trust or nil }, { suites = { suite } })
            local sent = has and auth ~= "none"
            local session
            for _ = 1, 2 do
              local client, server = pump.run(c:handshake { server_name = "localhost", session = session }, s:handshake())
              assert.equal(sent, (server.session or {}).peer ~= nil)
              local first = session
              session = check(client, server, { resumed = first ~= nil }, nil, true)
            end
          end)
        end
      end
    end
  end
end)

-- ---- who decides -----------------------------------------------------------------------------------------------------------------------------

describe("TLS 1.2, preference", function()
  local a, b = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
  local chacha = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"
  local rsa = identity "rsa:2048"

  it("the server's order of suites", function()
    local c, s = contexts({ suites = { a, b } }, { suites = { b, a }, identity = rsa })
    meet(c, s, { suite = b }, { short = true })
  end)

  it("the client's order of suites", function()
    local c, s = contexts({ suites = { a, b } }, { suites = { b, a }, identity = rsa, prefer = "client" })
    meet(c, s, { suite = a }, { short = true })
  end)

  it("ChaCha20 when the client puts it first", function()
    local c, s = contexts({ suites = { chacha, a } }, { suites = { a, chacha }, identity = rsa })
    meet(c, s, { suite = chacha }, { short = true })
    c, s = contexts({ suites = { a, chacha } }, { suites = { a, chacha }, identity = rsa })
    meet(c, s, { suite = a }, { short = true })
  end)

  it("ALPN: the server's order", function()
    local c, s = contexts({ alpn = { "http/1.1", "h2" } }, { alpn = { "h2", "http/1.1" }, identity = rsa })
    meet(c, s, { alpn = "h2" }, { short = true })
  end)

  it("ALPN: one side alone", function()
    local c, s = contexts({ alpn = { "h2" } }, { identity = rsa })
    meet(c, s, { alpn = nil }, { short = true })
    c, s = contexts(nil, { alpn = { "h2" }, identity = rsa })
    meet(c, s, { alpn = nil }, { short = true })
  end)

  it("ALPN: a function", function()
    local seen
    local c, s = contexts({ alpn = { "a", "b", "c" } }, { alpn = function(names) seen = names return "c" end, identity = rsa })
    meet(c, s, { alpn = "c" }, { short = true })
    assert.same({ "a", "b", "c" }, seen)
  end)

  it("an identity by name, by what the client verifies, by a function", function()
    local one, two = ca:issue { names = { "one.example" } }, ca:issue { names = { "*.two.example" } }
    local function peer(c, s, name)
      local client = pump.run(c:handshake { server_name = name }, s:handshake())
      assert.is_truthy(client.session, client.message)
      return client.session.peer[1]
    end
    local c, s = contexts(nil, { identity = { one.identity, two.identity } })
    assert.equal(one.certificate, peer(c, s, "one.example"))
    assert.equal(two.certificate, peer(c, s, "www.two.example"))
    c, s = contexts({ suites = { b } }, { identity = { one.identity, rsa } })
    assert.equal(rsa.chain[1], peer(c, s, "localhost"))
    local asked
    c, s = contexts(nil, { on_identity = function(name) asked = name return two.identity end })
    assert.equal(two.certificate, peer(c, s, "www.two.example"))
    assert.equal("www.two.example", asked)
  end)
end)

-- ---- older versions ----------------------------------------------------------------------------------------------------------------------------

describe("TLS 1.0 and 1.1", function()
  for _, version in ipairs { "1.0", "1.1" } do
    for _, suite in ipairs { "TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "TLS_DHE_RSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA" } do
      for _, etm in ipairs { true, false } do
        it(("%s, %s%s"):format(version, suite, etm and "" or ", no EtM"), function()
          local key = suite:find "ECDSA" and "ec:secp256r1" or "rsa:2048"
          local c, s = contexts({ identity = identity "rsa:2048" }, { identity = identity(key), client_auth = "require", trust = trust },
            { versions = version, suites = { suite }, encrypt_then_mac = etm, security_level = 0 })
          local session = meet(c, s, { version = version, encrypt_then_mac = etm, resumed = false })
          meet(c, s, { version = version, encrypt_then_mac = etm, resumed = true }, { session = session, short = true })
        end)
      end
    end

    it("is what " .. version .. " alone and a newer peer agree on", function()
      local both = { suites = { "TLS_RSA_WITH_AES_128_CBC_SHA" }, security_level = 0 }
      local c, s = contexts({ versions = { "1.0", "1.1", "1.2" } }, { versions = version, identity = identity "rsa:2048" }, both)
      meet(c, s, { version = version }, { short = true })
      c, s = contexts({ versions = version }, { versions = { "1.0", "1.1", "1.2" }, identity = identity "rsa:2048" }, both)
      meet(c, s, { version = version }, { short = true })
    end)
  end
end)

-- ---- everything with everything ------------------------------------------------------------------------------------------------------------------

local function groups_of(suite)
  if suite.kx == "ecdhe" then return { "x25519", "x448", "secp256r1", "secp384r1", "secp521r1" } end
  if suite.kx == "dhe" then return { "ffdhe2048" } end
  return { false }
end

describe("TLS 1.2, the whole product #slow", function()
  for _, suite in ipairs(suites) do
    for _, group in ipairs(groups_of(suite)) do
      it(("%s %s"):format(suite.name, group or ""), function()
        local key = key_of_auth[suite.auth]
        local groups = group and { group } or nil
        if groups and key == "ec:secp256r1" and group ~= "secp256r1" then groups[2] = "secp256r1" end -- the certificate's own curve
        for _, client_auth in ipairs(key and { "none", "require" } or { "none" }) do
          for _, fragment in ipairs { 1, 64, 16384 } do
            for _, chunk in ipairs { 2, 100 } do
              for _, tickets in ipairs { false, true } do
                local both = { suites = { suite.name }, tickets = tickets, max_fragment = fragment, security_level = 0, groups = groups, alpn = { "h2" } }
                local server = { identity = key and identity(key) or nil, client_auth = client_auth, trust = client_auth ~= "none" and trust or nil }
                local c, s = contexts(key and { identity = identity "ed25519" } or { verify = false }, server, both)
                local o = { chunk = chunk, short = true }
                o.session = meet(c, s, { suite = suite.name, group = group or nil, resumed = false, alpn = "h2" }, o)
                meet(c, s, { suite = suite.name, resumed = true, alpn = "h2" }, o)
              end
            end
          end
        end
      end)
    end
  end
end)
