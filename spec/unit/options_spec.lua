-- Options: every wrong one raises and says which one it is; what is right is taken.
local akushu = require "akushu"
local certs = require "spec.support.certs"

local leaf = certs.ecdsa()
local function nothing() end

-- Calls fn, which must raise an error that names the option and stands at the caller's line.
local function raises(name, fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok, "taken: " .. name)
  assert.is_string(message)
  assert.is_truthy(message:find("'" .. name .. "['.]"), message)
end

local function client(more)
  local o = { trust = leaf.trust }
  for k, v in pairs(more or {}) do o[k] = v end
  return akushu.client(o)
end

local function server(more)
  local o = { identity = leaf.identity }
  for k, v in pairs(more or {}) do o[k] = v end
  return akushu.server(o)
end

describe("the options of a context", function()
  -- option, values that are wrong for both roles, or for the named one alone
  local wrong = {
    { "nonsense", { 1, true, "x" } },
    { "Trust", { leaf.trust } },
    { "ciphers", { "ECDHE+AESGCM" } },
    { "profile", { 1, {}, "strongest" } },
    { "versions", { {}, true, "2.0", { "1.2", "9" }, "SSLv2", { "1.0", "1.2" }, 0x0200 } },
    { "min_version", { "0.9", true, {}, "1.4", 0x0305 } },
    { "max_version", { "3.1", false, nothing, "TLSv9" } },
    { "suites", { {}, { "TLS_RSA_WITH_NOTHING" }, 1.5, { true }, { "TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256" }, { 0xfafa } } },
    { "groups", { {}, { "curve25519" }, { false }, { "x25519", "x25519" }, { 1 } } },
    { "schemes", { {}, { "rsa_md5" }, "sha256", { "ed25519", 0x0807 } } },
    { "signing_schemes", { {}, { "rsa_md5" } } },
    { "identity", { 1, true, "server.pem", { "server.pem" }, { 1 }, { leaf.identity, 2 } } },
    { "trust", { "ca.pem", true, {}, leaf.identity } },
    { "verify", { "host", 1, {} } },
    { "alpn", { 1, true, { "" }, { ("x"):rep(256) }, { 1 } } },
    { "extended_master_secret", { "maybe", 1 } },
    { "encrypt_then_mac", { "yes", 1 } },
    { "session_ids", { 1 } },
    { "session_lifetime", { "1h", 1.5, 0, -1, 10000000 } },
    { "tickets", { "two", {}, 1.5 } },
    { "on_untrusted", { true, "yes", {} } },
    { "on_identity", { leaf.identity, 1 } },
    { "max_fragment", { 0, 16385, "16K", -1, 1.5 } },
    { "record_size_limit", { 63, 16386, "no" } },
    { "max_message", { 100, 1 << 25, "64K" } },
    { "security_level", { -1, 6, "high" } },
    { "coalesce", { 1, "always" } },
    { "middlebox_compat", { 1, "sometimes" } },
    { "renegotiation", { 1, "yes" } },
    { "keylog", { "sslkeylog.txt", true } },
    { "clock", { "now", true, {} } },
    { "hooks", { nothing, { nothing }, { { "send", "finished" } }, { { "send", 1, nothing } }, { { 1, "finished", nothing } } } },
    { "key_shares", { {}, { "nogroup" } }, "client" },
    { "min_dh_bits", { 100, 10000, "many" }, "client" },
    { "ocsp", { 1, "yes" }, "client" },
    { "sct", { 1 }, "client" },
    { "fallback_scsv", { 1 }, "client" },
    { "grease", { 1, "yes" }, "client" },
    { "sessions", { true, "memory", 1.5, -1, {}, { get = nothing }, { get = nothing, put = nothing, remove = 1 },
      { get = nothing, put = nothing, remove = nothing, clear = nothing } }, "server" },
    { "prefer", { "ours", 1, true }, "server" },
    { "client_auth", { true, "maybe", 1 }, "server" },
    { "ticket_keys", { 1, {}, "short" }, "server" },
  }

  for _, row in ipairs(wrong) do
    local name, values, role = row[1], row[2], row[3]
    for i, value in ipairs(values) do
      it(("%s, wrong value %d (%s)"):format(name, i, tostring(value):gsub("0x%x+", "…")), function()
        if role ~= "server" then raises(name, client, { [name] = value }) end
        if role ~= "client" then raises(name, server, { [name] = value }) end
      end)
    end
    if role then
      it(name .. " of the other side", function()
        local make = role == "client" and server or client
        local value = ({ sessions = 10, prefer = "client", client_auth = "request", ticket_keys = ("k"):rep(48), key_shares = { "x25519" },
          min_dh_bits = 2048 })[name]
        if value == nil then value = true end
        raises(name, make, { [name] = value })
      end)
    end
  end

  it("must be a table", function()
    for _, make in ipairs { akushu.client, akushu.server } do
      for _, value in ipairs { 1, "x", true } do
        assert.has_error(function() make(value) end)
      end
    end
  end)

  it("with a wrong key", function()
    assert.has_error(function() client { [1] = "x" } end)
    assert.has_error(function() client { [{}] = "x" } end)
  end)
end)

describe("options that contradict each other", function()
  it("versions beside min_version or max_version", function()
    raises("versions", client, { versions = "1.2", min_version = "1.2" })
    raises("versions", server, { versions = "1.2", max_version = "1.2" })
  end)

  it("a lowest version above the highest", function() raises("min_version", client, { min_version = "1.3", max_version = "1.2" }) end)

  it("a version that no suite does", function()
    raises("max_version", client, { profile = "classic", max_version = "1.3" })
    raises("min_version", client, { min_version = "1.0" })
    raises("versions", client, { suites = { "TLS_AES_128_GCM_SHA256" }, versions = "1.2" })
  end)

  it("a client that verifies and trusts nobody", function()
    raises("trust", akushu.client, {})
    raises("trust", akushu.client, { verify = true })
    raises("trust", akushu.client, { verify = "chain" })
    assert.is_truthy(akushu.client { verify = false })
  end)

  it("a question that is never asked", function()
    raises("on_untrusted", akushu.client, { verify = false, on_untrusted = nothing })
  end)

  it("a server without an identity", function()
    raises("identity", akushu.server, {})
    raises("identity", akushu.server, { identity = {} })
    assert.is_truthy(akushu.server { on_identity = nothing })
  end)

  it("a server that verifies its clients by nobody", function()
    raises("trust", server, { client_auth = "require" })
    raises("trust", server, { client_auth = "request" })
    assert.is_truthy(server { client_auth = "require", verify = false })
  end)

  it("session ids without sessions", function() raises("session_ids", server, { sessions = false, session_ids = true }) end)

  it("a client that lets a function choose ALPN", function() raises("alpn", client, { alpn = nothing }) end)
end)

describe("options that are right", function()
  it("versions in many spellings", function()
    for _, v in ipairs { "1.2", "TLS 1.2", "TLSv1.2", "TLS1.2", 1.2, 0x0303, { "1.2" }, { 1.2, "1.3" }, { 0x0303, 0x0304 } } do
      assert.is_truthy(client { versions = v })
    end
  end)

  it("what has no versions of its own speaks what its suites can", function()
    for profile, version in pairs { classic = "1.2", modern = "1.3" } do
      local rsa = certs.rsa()
      local s = akushu.server { identity = rsa.identity, profile = profile }
      local c = akushu.client { trust = rsa.trust, profile = profile }
      local pump = require "spec.support.pump"
      local a = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
      assert.is_truthy(a.session, a.message)
      assert.equal(version, a.session.version)
    end
  end)

  it("suites, groups and schemes by name, by number, alone", function()
    assert.is_truthy(client { suites = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" })
    assert.is_truthy(client { suites = { 0xc02f, "TLS_AES_128_GCM_SHA256" }, groups = "x25519", schemes = { 0x0403 } })
  end)

  it("things that can be called where a function is wanted", function()
    local callable = setmetatable({}, { __call = nothing })
    assert.is_truthy(client { on_untrusted = callable, keylog = callable, clock = callable })
  end)

  it("every profile", function()
    for _, profile in ipairs { "modern", "compatible", "classic", "lab" } do
      local c = client { profile = profile }
      assert.equal("client", c.role)
      assert.is_truthy(tostring(c):find "^akushu.Context %(client, %d+ suites%)$")
      assert.equal("server", server({ profile = profile }).role)
    end
  end)

  it("an identity in each form", function()
    assert.is_truthy(akushu.server { identity = leaf.identity })
    assert.is_truthy(akushu.server { identity = { leaf.identity, certs.rsa().identity } })
    assert.is_truthy(akushu.server { identity = { chain = leaf.chain, key = leaf.key } })
    assert.is_truthy(akushu.server { identity = { { chain = leaf.chain, key = leaf.key }, leaf.identity } })
  end)

  it("a context ends when it is closed", function()
    local c = client()
    c:close()
    c:close()
    assert.equal("akushu.Context (closed)", tostring(c))
    assert.has_error(function() c:handshake { server_name = "localhost" } end)
    do
      local d <close> = client()
      assert.is_truthy(d)
    end
  end)
end)

describe("the options of a handshake", function()
  local c, s = client(), server()

  it("unknown ones", function()
    raises("host", c.handshake, c, { host = "localhost" })
    raises("timeout", s.handshake, s, { timeout = 1 })
  end)

  it("of the other side", function()
    raises("server_name", s.handshake, s, { server_name = "localhost" })
    raises("session", s.handshake, s, { session = 1 })
  end)

  it("without the name that is verified", function()
    raises("server_name", c.handshake, c, {})
    raises("server_name", c.handshake, c)
    assert.is_truthy(client({ verify = "chain" }):handshake())
    assert.is_truthy(akushu.client({ verify = false }):handshake())
  end)

  it("with a name that is none", function()
    for _, name in ipairs { "", " ", "a b", "-", ("a"):rep(300), "http://localhost", "exa\0mple", "a..b", ".example.com", "*" } do
      raises("server_name", c.handshake, c, { server_name = name })
    end
    raises("server_name", c.handshake, c, { server_name = 1 })
  end)

  it("with a session that is none", function()
    for _, session in ipairs { "bytes", 1, true, leaf.identity } do raises("session", c.handshake, c, { server_name = "localhost",
      session = session }) end
  end)

  it("with hooks that are none", function()
    raises("hooks", c.handshake, c, { server_name = "localhost", hooks = { { "send", "finished" } } })
    raises("hooks", c.handshake, c, { server_name = "localhost", hooks = "send" })
    assert.has_error(function() c:handshake { server_name = "localhost", hooks = { { "nogate", "*", nothing } } } end)
  end)

  it("hooks of the context and of the handshake", function()
    local seen = {}
    local context = client { hooks = { { "send", "client_hello", function() seen[#seen + 1] = "context" end } } }
    local hs = context:handshake { server_name = "localhost", hooks = { { "send", "*", function() seen[#seen + 1] = "handshake" end } } }
    hs:on("send", "client_hello", function() seen[#seen + 1] = "on" end)
    assert(hs:start())
    assert.same({ "context", "handshake", "on" }, seen)
  end)

  it("a name may be an address, and is not sent then", function()
    for _, name in ipairs { "127.0.0.1", "::1" } do
      local hello
      local hs = c:handshake { server_name = name, hooks = { { "send", "client_hello", function(m) hello = m end } } }
      assert(hs:start())
      for _, e in ipairs(hello.extensions) do assert.not_equal("server_name", e.type) end
      assert.equal(name, hs.server_name)
    end
  end)
end)
