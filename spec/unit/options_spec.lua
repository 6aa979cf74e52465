-- Options: every wrong one raises and says which one it is; what is right is taken.
local akushu = require "akushu"
local certs = require "spec.support.certs"

local leaf = certs.ecdsa()
local function nothing() end

local here = debug.getinfo(1, "S").short_src

-- Calls fn, which must raise an error that names the option and stands at the line of whoever called akushu.
local function raises(name, fn, ...)
  local made
  local arguments = table.pack(...)
  local ok, message = pcall(function() made = fn(table.unpack(arguments, 1, arguments.n)) end)
  assert.is_false(ok, ("taken: %s, %s"):format(name, made))
  assert.is_string(message)
  assert.is_truthy(message:find("'" .. name .. "['.]"), message)
  assert.equal(1, message:find(here .. ":", 1, true), message)
  return message
end

local function client(more)
  local o = { trust = leaf.trust }
  for k, v in pairs(more or {}) do o[k] = v end
  local c = akushu.client(o)
  return c
end

local function server(more)
  local o = { identity = leaf.identity }
  for k, v in pairs(more or {}) do o[k] = v end
  local s = akushu.server(o)
  return s
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
    { "tickets", { "two", {}, 1.5, -1, 17 } },
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
    { "clock", { "now", true, {}, 0 / 0, 1e300, -math.huge } },
    { "certificate_compression", { {}, "gzip", { "zlib", "zlib" }, 1 } },
    { "hooks", { nothing, { nothing }, { { "send", "finished" } }, { { "send", 1, nothing } }, { { 1, "finished", nothing } },
      { { "nogate", "*", nothing } }, { { "send", "finnished", nothing } }, { { "record_in", "finished", nothing } },
      { { "send", "*", nothing }, { "send", "*", 1 } }, { send = nothing } } },
    { "key_shares", { {}, { "nogroup" } }, "client" },
    { "min_dh_bits", { 100, 10000, "many" }, "client" },
    { "ocsp", { 1, "yes" }, "client" },
    { "sct", { 1 }, "client" },
    { "fallback_scsv", { 1 }, "client" },
    { "grease", { 1, "yes" } },
    { "sessions", { true, "memory", 1.5, -1, {}, { get = nothing }, { get = nothing, put = nothing, remove = 1 },
      { get = nothing, put = nothing, remove = nothing, clear = nothing } }, "server" },
    { "prefer", { "ours", 1, true }, "server" },
    { "client_auth", { true, "maybe", 1 }, "server" },
    { "ticket_keys", { 1, {}, "short" }, "server" },
    { "early_data", { -1, 1.5, "all", 1 << 32 }, "server" },
    { "psk", { 1, {}, { { identity = "x" } }, { identity = "x", key = 5 }, { identity = "", key = "k" }, { identity = "x", key = "k", hsh = "" } } },
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

  it("GREASE of a server that does not speak TLS 1.3", function() raises("grease", server, { grease = true, versions = "1.2" }) end)

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

  it("each of the server's missing trust is named by what needs it", function()
    assert.matches("'verify' needs 'trust'", raises("verify", server, { verify = true }))
    assert.matches("'client_auth' needs 'trust'", raises("client_auth", server, { client_auth = "require" }))
    assert.matches("'post_handshake_auth' needs 'trust'", raises("post_handshake_auth", server, { post_handshake_auth = true }))
  end)

  it("key shares of groups that are not offered", function()
    assert.matches("x448 is not one of", raises("key_shares", client, { groups = { "x25519" }, key_shares = { "x448" } }))
    raises("key_shares", client, { key_shares = { "x25519", "ffdhe8192" } })
    assert.is_truthy(client { groups = { "x25519", "x448" }, key_shares = { "x448" } })
  end)

  it("tickets that are used again, or carry early data, where there are none", function()
    raises("reuse_tickets", client, { reuse_tickets = true, tickets = false })
    assert.is_truthy(client { reuse_tickets = false, tickets = false })
    raises("early_data", server, { early_data = 1000, tickets = false })
    raises("early_data", server, { early_data = 1000, tickets = 0 })
    assert.is_truthy(server { early_data = 0, tickets = false })
    assert.is_truthy(server { early_data = 1000 })
  end)

  it("what TLS 1.3 alone has, where it is not spoken", function()
    for _, old in ipairs { { versions = "1.2" }, { max_version = "1.2" }, { profile = "classic" },
      { suites = { "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" } } } do
      local function with(more)
        for k, v in pairs(old) do more[k] = v end
        return more
      end
      raises("early_data", server, with { early_data = 1000 })
      raises("cookie", server, with { cookie = true })
      raises("post_handshake_auth", server, with { post_handshake_auth = true, trust = leaf.trust })
      raises("post_handshake_auth", client, with { post_handshake_auth = true })
      assert.is_truthy(server(with { early_data = 0, cookie = false, post_handshake_auth = false }))
    end
    assert.is_truthy(server { cookie = true, post_handshake_auth = true, trust = leaf.trust, early_data = 1 })
  end)

  it("another certificate in a renegotiation that there will not be", function()
    for _, renegotiation in ipairs { false, "fatal" } do
      raises("renegotiation_new_certificate", client, { renegotiation_new_certificate = true, renegotiation = renegotiation })
    end
    raises("renegotiation_new_certificate", client, { renegotiation_new_certificate = true })
    assert.is_truthy(client { renegotiation_new_certificate = true, renegotiation = true })
  end)

  it("a server's questions about what never comes", function()
    raises("on_untrusted", server, { on_untrusted = nothing })
    raises("on_untrusted", server, { on_untrusted = nothing, client_auth = "none" })
    raises("on_untrusted", server, { on_untrusted = nothing, client_auth = "request", verify = false })
    assert.is_truthy(server { on_untrusted = nothing, client_auth = "request", trust = leaf.trust })
    assert.is_truthy(server { on_untrusted = nothing, post_handshake_auth = true, trust = leaf.trust })
    raises("psk_hint", server, { psk_hint = "who are you" })
    raises("hide_unknown_psk", server, { hide_unknown_psk = true })
    assert.is_truthy(server { hide_unknown_psk = false })
    assert.is_truthy(server { psk_hint = "who are you", hide_unknown_psk = true, on_psk = nothing })
    raises("on_early_data", server, { on_early_data = nothing })
    raises("on_early_data", server, { on_early_data = nothing, early_data = 0 })
    assert.is_truthy(server { on_early_data = nothing, early_data = 1 })
  end)

  it("SSL 3.0 outside of the laboratory", function()
    local old = { "TLS_RSA_WITH_AES_128_CBC_SHA" }
    for _, profile in ipairs { "modern", "compatible", "classic" } do
      for name, value in pairs { versions = { "SSL 3.0", "1.0" }, min_version = "3.0", max_version = 0x0300 } do
        local message = raises(name, client, { [name] = value, profile = profile, suites = old })
        assert.matches(profile, message)
        raises(name, server, { [name] = value, profile = profile, suites = old })
      end
    end
    raises("versions", client, { versions = "SSL 3.0", suites = old })
    assert.is_truthy(client { versions = "SSL 3.0", profile = "lab" })
    assert.is_truthy(server { min_version = "3.0", profile = "lab" })
    assert.is_truthy(client { versions = "1.0", suites = old })
  end)

  it("suites that prove nobody or encrypt nothing outside of the laboratory", function()
    for _, profile in ipairs { "modern", "compatible", "classic" } do
      for _, suite in ipairs { "TLS_DH_anon_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_NULL_SHA256", "TLS_PSK_WITH_NULL_SHA" } do
        local o = { versions = "1.2", profile = profile, suites = { "TLS_RSA_WITH_AES_128_GCM_SHA256", suite }, verify = false }
        assert.matches(suite, raises("suites", client, o), 1, true)
        o.verify = nil
        assert.matches(profile, raises("suites", server, o))
      end
    end
    assert.is_truthy(client { versions = "1.2", profile = "lab", suites = "TLS_RSA_WITH_NULL_SHA256" })
  end)

  it("anonymous suites where somebody has to be verified", function()
    local anonymous = { versions = "1.2", profile = "lab", suites = "TLS_ECDH_anon_WITH_AES_128_CBC_SHA" }
    assert.matches("verify = false", raises("suites", client, anonymous))
    anonymous.verify = "chain"
    raises("suites", client, anonymous)
    anonymous.verify, anonymous.client_auth, anonymous.trust = nil, "require", leaf.trust
    assert.matches("client_auth", raises("suites", server, anonymous))
    anonymous.client_auth = "request"
    assert.is_truthy(server(anonymous))
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
    raises("hooks", c.handshake, c, { server_name = "localhost", hooks = { { "nogate", "*", nothing } } })
    raises("hooks", c.handshake, c, { server_name = "localhost", hooks = { { "send", "nomessage", nothing } } })
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

describe("what an option may be", function()
  it("is said, booleans and names", function()
    for name, said in pairs { verify = 'true, false or "chain"', extended_master_secret = 'true, false or "require"', renegotiation = 'true, false or "fatal"',
      middlebox_compat = 'true, false or "always"' } do
      assert.has_error(function() client { [name] = "none" } end, ("option '%s': %s expected, got 'none'"):format(name, said))
      assert.has_error(function() client { [name] = 1 } end, ("option '%s': %s expected, got 1"):format(name, said))
    end
    assert.has_error(function() akushu.client { verify = false, profile = "strong" } end,
      "option 'profile': unknown profile 'strong'; there are modern, compatible, classic, lab")
  end)

  it("a float that is a whole number is one", function()
    assert(client { session_lifetime = 2 * 3600.0, max_fragment = 1e4 })
    assert.has_error(function() client { session_lifetime = 1.5 } end, "option 'session_lifetime': an integer expected, got 1.5")
    assert.has_error(function() client { session_lifetime = 1e9 } end, "option 'session_lifetime': an integer from 1 to 604800 expected")
    assert.has_error(function() client { session_lifetime = "2h" } end, "option 'session_lifetime': an integer expected, got string")
  end)
end)

describe("a mistake stands at the line where it was made", function()
  -- The message of what fn raises, without its position, which must be that of the line where fn begins.
  local function at_its_line(fn)
    local line = debug.getinfo(fn, "S").linedefined
    local ok, message = pcall(fn)
    assert.is_false(ok)
    local position = ("%s:%d: "):format(here, line)
    assert.equal(1, message:find(position, 1, true), message)
    return message:sub(#position + 1)
  end
  local closed = client()
  closed:close()
  local c = client()
  local hs = c:handshake { server_name = "localhost" }
  local lab = akushu.lab {}

  it("contexts, handshakes, hooks, the laboratory", function()
    assert.equal("akushu.client: unknown option 'x'", at_its_line(function() local x = akushu.client { x = 1 } return x end))
    assert.equal("option 'session_lifetime': an integer from 1 to 604800 expected",
      at_its_line(function() local x = akushu.client { verify = false, session_lifetime = 0 } return x end))
    assert.matches("^option 'identity': unknown option 'kye'; there are chain, key, password, ",
      at_its_line(function() local x = akushu.server { identity = { chain = "x", kye = "y" } } return x end))
    assert.equal("handshake: unknown option 'x'", at_its_line(function() local x = c:handshake { x = 1 } return x end))
    assert.matches("^option 'server_name': 'a b' is not a host name or address %(no port,",
      at_its_line(function() local x = c:handshake { server_name = "a b" } return x end))
    assert.equal("handshake: a context that was closed", at_its_line(function() local x = closed:handshake { server_name = "localhost" } return x end))
    assert.equal("handshake: a context expected (context:handshake, with a colon), got table",
      at_its_line(function() local x = c.handshake { server_name = "localhost" } return x end))
    assert.equal("renegotiate: a context expected (context:renegotiate, with a colon), got nil", at_its_line(function() local x = c.renegotiate() return x end))
    assert.equal("renegotiate: a session expected, got nil", at_its_line(function() local x = c:renegotiate() return x end))
    assert.equal(
      "hs:on: no gate 'x'; there are compose, send, plain_out, record_out, record_in, plain_in, receive", at_its_line(function() local x = hs:on("x", "*", nothing) return x end))
    assert.equal("lab: unknown option 'x'", (at_its_line(function() local x = lab:client { x = 1 } return x end):gsub("^akushu.client", "lab")))
    for _, said in ipairs { at_its_line(function() local x = lab:give("x", "y") return x end), at_its_line(function() local x = lab:left "x" return x end),
      at_its_line(function() local x = lab:random("x", 1) return x end), at_its_line(function() local x = akushu.lab { values = { x = "y" } } return x end) } do
      assert.matches(": no purpose 'x'; there are client_random, server_random, ", said)
    end
    assert.matches("1048576", at_its_line(function() local x = lab:random("serial", 1 << 30) return x end))
  end)

  it("what goes beside a message", function()
    local said = {}
    local h = c:handshake { server_name = "localhost" }
    h:on("send", "client_hello", function(_, ev)
      said[1] = at_its_line(function() ev:before { alert = "nonsense" } end)
      said[2] = at_its_line(function() ev:after(5) end)
    end)
    assert(h:start())
    assert.same({ "no alert 'nonsense'", "a message, a string or a table expected" }, said)
  end)
end)

describe("what was closed is refused by the name of its option:", function()
  local ca = akushu.testca.new {}
  local mine = ca:issue { names = { "localhost" } }

  it("a trust store", function()
    local trust <close> = ca:trust()
    trust:close()
    assert.error_matches(function() akushu.client { trust = trust } end, "option 'trust': akushu.TrustStore %(closed%)")
  end)

  it("an identity", function()
    local identity = akushu.identity { chain = mine.pem_chain, key = mine.pem_key }
    identity:close()
    assert.error_matches(function() akushu.server { identity = { mine.identity, identity } } end, "option 'identity': akushu.Identity %(closed%)")
  end)

  it("a key and a certificate", function()
    local key, certificate = akushu.private_key(mine.pem_key), akushu.certificate(mine.pem_chain)
    key:close()
    assert.error_matches(function() akushu.identity { chain = mine.pem_chain, key = key } end, "identity: option 'key': a closed private key")
    certificate:close()
    assert.error_matches(function() akushu.identity { chain = certificate, key = mine.pem_key } end, "option 'chain': a closed certificate")
  end)
end)

describe("akushu.supports", function()
  it("gives the number of what it has", function()
    assert.equal(0x1301, akushu.supports("suites", "TLS_AES_128_GCM_SHA256"))
    assert.equal(29, akushu.supports("groups", "x25519"))
    assert.equal(0x0403, akushu.supports("schemes", 0x0403))
    assert.is_nil(akushu.supports("groups", "curve25519"))
    assert.is_nil(akushu.supports("suites", 0x11301))
    assert.is_nil(akushu.supports("suites", -1))
  end)

  it("knows four kinds", function()
    assert.has_error(function() akushu.supports("cipher", "x") end)
    assert.has_error(function() akushu.supports("groups") end)
    assert.has_error(function() akushu.supports("groups", true) end)
    assert.has_error(function() akushu.supports("certificate_compression", 1) end)
  end)
end)
