-- trace:script: a run written down as a script that passes as it stands, whatever hooks and functions had a say in it.
local akushu = require "akushu"
local peers = require "spec.support.peers"

local function with(a, b)
  local out = {}
  for k, v in pairs(a) do out[k] = v end
  for k, v in pairs(b or {}) do out[k] = v end
  return out
end

local function passes(text)
  local said = {}
  local f = assert(load(text, "=script", "t", setmetatable({ print = function(s) said[#said + 1] = s end }, { __index = _G })))
  f()
  return table.concat(said, "\n")
end

describe("trace:script", function()
  local cases = {
    { "TLS 1.2", { versions = "1.2" } }, { "TLS 1.3", { versions = "1.3" } },
    { "RSA key exchange, CBC", { versions = "1.2", profile = "classic", suites = { "TLS_RSA_WITH_AES_128_CBC_SHA" } } },
    { "HelloRetryRequest", { versions = "1.3" }, { groups = { "x25519", "secp256r1" }, key_shares = { "x25519" } }, { groups = { "secp256r1" } } },
  }

  for _, case in ipairs(cases) do
    it("repeats both sides: " .. case[1], function()
      local lab = akushu.lab { seed = case[1] }
      local t = lab:run(lab:client(with(case[2], case[3])), lab:server(with(case[2], case[4])), { data = { "a", "b" }, close = true })
      assert.is_true(t.ok)
      assert.matches("client: as recorded.*server: as recorded", passes(assert(t:script())))
      -- With one byte changed it does not pass.
      local text = assert(t:script { side = "server" })
      local at = select(2, text:find('"step", hex %[%[\n%s+%x+'))
      assert.has_error(function() passes(text:sub(1, at - 1) .. (text:sub(at, at) == "0" and "1" or "0") .. text:sub(at + 1)) end)
    end)
  end

  it("is a program by itself", function()
    local lab = akushu.lab { seed = "alone" }
    local text = assert(lab:run(lab:client {}, lab:server {}):script())
    local process = peers.lua { peers.tmpfile(text, "regression.lua") }
    local code = process:wait()
    local log = process:stop():log()
    assert.equal(0, code, log)
    assert.matches("as recorded", log)
  end)

  it("holds what a handshake was given: name, session, early data", function()
    for _, version in ipairs { "1.2", "1.3" } do
      local lab = akushu.lab { seed = version }
      local leaf = lab:issue { names = { "other.example" } }
      local server = lab:server { versions = version, identity = leaf.identity }
      local client = lab:client { versions = version, reuse_tickets = true }
      local first = lab:run(client:handshake { server_name = "other.example" }, server)
      assert.is_true(first.ok, first.client.message)
      assert.matches("other.example", assert(first:script { side = "client" }))
      local session = assert(first.client.session:resumption())
      local second = lab:run(client:handshake { server_name = "other.example", session = session }, server)
      assert.is_true(second.client.session.resumed)
      assert.matches("client: as recorded", passes(assert(second:script { side = "client" })))
      assert.matches("server: as recorded", passes(assert(second:script { side = "server" })))
    end
  end)

  it("what stands around PEM stays text", function()
    local lab = akushu.lab { seed = "pem" }
    local leaf = lab:issue { names = { "localhost" } }
    local chain = "]] .. error \"not text\" .. [[\n" .. leaf.certificate.pem
    local t = lab:run(lab:client {}, lab:server { identity = { chain = chain, key = leaf.key:reveal "pem" } })
    assert.is_true(t.ok, t.client.message)
    assert.matches("server: as recorded", passes(assert(t:script { side = "server" })))
  end)

  it("holds what only the server's own memory had: a session, early data that it had seen", function()
    local lab = akushu.lab { seed = "memory" }
    local client, server = lab:client { versions = "1.2", tickets = false }, lab:server { versions = "1.2", tickets = false }
    local t = lab:run(client, server, { session = assert(lab:run(client, server).client.session:resumption()), data = { "a", "b" } })
    assert.is_true(t.server.session.resumed)
    assert.matches("client: as recorded.*server: as recorded", passes(assert(t:script())))

    client, server = lab:client { versions = "1.3", reuse_tickets = true }, lab:server { versions = "1.3", early_data = 100 }
    local session = assert(lab:run(client, server, { data = { "a", "b" } }).client.session:resumption())
    local hello
    local once = lab:run(client, server, { session = session, early = "pay" })
    assert.equal("pay", once.server.early)
    for _, e in ipairs(once:all "wire") do
      if e.from == "client" then hello = e.bytes break end
    end
    local again = lab:run(client, server, { session = session, early = "pay", network = function(from, bytes)
      if from ~= "client" or not hello then return bytes end
      bytes, hello = hello, nil
      return bytes
    end })
    assert.equal("replayed", again.server.hs.early_data_reason)
    assert.matches("server: as recorded", passes(assert(again:script { side = "server" })))
  end)

  it("holds a trust store whole: CRLs, what is demanded and distrusted, policies, nobody", function()
    local lab = akushu.lab { seed = "trust" }
    local now = lab:now()
    local ca = akushu.testca.new { name = "Trusted", not_before = now - 1000, not_after = now + 1e7, key = "ed25519" }
    local other = akushu.testca.new { name = "Other", not_before = now - 1000, not_after = now + 1e7, key = "ed25519" }
    local policy = "1.2.3.4"
    local leaf = ca:issue { names = { "localhost" }, not_before = now - 1000, not_after = now + 1e7, policies = { policy } }
    local function crl(revoked) return ca:crl { revoked = revoked, this_update = now - 10, next_update = now + 1000 } end
    for said, store in pairs {
      ok = akushu.trust { pem = ca:pem(), crls = { crl {} }, revocation = "chain", policies = { policy, "2.5.4" }, require_policy = true, strict = true },
      certificate_revoked = akushu.trust { pem = ca:pem(), crls = { crl { leaf } } },
      revocation_unknown = akushu.trust { pem = ca:pem(), revocation = "leaf" },
      distrusted = akushu.trust { pem = ca:pem(), distrusted = { ca.certificate, other.certificate } },
      unknown_ca = akushu.trust {},
    } do
      local t = lab:run(lab:client { trust = store }, lab:server { identity = leaf.identity })
      assert.equal(said, t.ok and "ok" or t.client.failure.code)
      local text = assert(t:script { side = "client" })
      assert.matches("client: as recorded", passes(text))
      local expression = text:match "trust = (akushu.trust {.-}),\n"
      local built = assert(load("local akushu, hex = ... return " .. expression))(akushu, require("akushu.show").from_hex)
      for _, name in ipairs { "revocation", "strict", "partial_chain", "require_policy", "inhibit_mapping", "inhibit_any_policy", "policies", "crls" } do
        assert.same(store[name], built[name], name)
      end
      for _, use in ipairs { "server", "client" } do assert.equal(#store.distrusted[use], #built.distrusted[use]) end
    end
  end)

  it("holds what a padding function said", function()
    local lab = akushu.lab { seed = "pads" }
    local n = 0
    local function pad()
      n = n + 1
      return n % 3 ~= 0 and n or nil
    end
    local t = lab:run(lab:client { versions = "1.3", record_padding = pad }, lab:server { versions = "1.3", record_padding = pad }, { data = { "a", "b" }, close = true })
    assert.is_true(t.ok)
    assert.matches("client: as recorded.*server: as recorded", passes(assert(t:script())))
  end)

  it("says what has no text", function()
    local lab = akushu.lab { seed = "cannot" }
    local t = lab:run(lab:client {}, lab:server {})
    local none, why
    local ordinary = akushu.client { verify = false }:handshake { server_name = "localhost" }
    none, why = lab:run(ordinary, lab:server {}):script { side = "client" }
    assert.is_nil(none)
    assert.matches("was not made by the run's lab", why)
    assert.has_error(function() t:script { side = "both" } end)
    local odd = lab:client { psk = { identity = "x", key = ("k"):rep(32) } }
    lab.recipes[odd:_values().kept].options.psk.key = coroutine.create(print) -- as if an option held something without a text
    none, why = lab:run(odd, lab:server {}):script { side = "client" }
    assert.is_nil(none)
    assert.matches("option 'psk'.key is a thread, and cannot be written down", why)
  end)
end)

-- ---- hooks ------------------------------------------------------------------------------------------------------------------------

-- Each kind of verdict: versions, side, gate, message, hook, and what the script must hold.
local verdicts = {
  { "replace by a table", "1.3", "client", "compose", "client_hello", function(msg) msg.extensions:move("key_share", 1) end, "bytes = " },
  { "replace by bytes", "1.2", "client", "send", "finished", function(_, ev) return ev.raw:sub(1, 4) .. ("\0"):rep(12) end, "bytes = " },
  { "drop", "1.2", "client", "send", "client_key_exchange", function() return false end, "drop = true" },
  { "drop what came", "1.2", "client", "receive", "certificate", function() return false end, "drop = true" },
  { "inject before: a warning", "1.2", "server", "send", "certificate", function(_, ev) ev:before { alert = "user_canceled", level = "warning" } end, "before = " },
  { "inject before and after", "1.2", "server", "send", "server_hello_done", function(_, ev)
    ev:before { type = "hello_request" }
    ev:before { content_type = 24, bytes = "x" }
    ev:after "change_cipher_spec"
  end, "after = " },
  { "inject raw records", "1.3", "client", "record_out", "handshake", function(_, ev) ev:after { raw = "\20\3\3\0\1\1" } end, "raw = " },
  { "delay", "1.2", "server", "send", "certificate", function(_, ev) ev:delay() end, 'how = "delay"' },
  { "coalesce", "1.2", "server", "send", "certificate", function(_, ev) ev:coalesce() end, 'how = "coalesce"' },
  { "delay the last one of a flight", "1.3", "server", "send", "finished", function(_, ev) ev:delay() end, 'how = "delay"' },
  { "fragment", "1.3", "server", "send", "certificate", function(_, ev) ev:fragment { 1, 2, 3 } end, "pieces = { 1, 2, 3 }" },
  { "fail with an alert and words", "1.3", "client", "receive", "encrypted_extensions", function(_, ev) ev:fail("insufficient_security", "not \"enough\"") end,
    'fail = "insufficient_security"' },
  { "fail without an alert", "1.2", "server", "receive", "client_key_exchange", function(_, ev) ev:fail(nil) end, "fail = false" },
  { "fail at the first message", "1.3", "client", "compose", "client_hello", function(_, ev) ev:fail(80) end, 'fail = "internal_error"' },
  { "raise", "1.3", "server", "compose", "certificate", function() error { "a table" } end, "raise = " },
  { "raise a text", "1.2", "client", "receive", "server_hello", function() error("mine, with \"quotes\"\nand lines", 0) end, "raise = " },
  { "accept", "1.2", "client", "receive", "server_hello_done", function(_, ev)
    ev:accept()
    return "\0\0\0\0"
  end, "accept = true" },
  { "transcript as built", "1.2", "client", "send", "client_key_exchange", function(_, ev)
    ev.transcript = "as_built"
    return ev.raw
  end, 'transcript = "as_built"' },
  { "transcript none", "1.3", "client", "receive", "certificate", function(_, ev) ev.transcript = "none" end, 'transcript = "none"' },
  { "transcript of given bytes", "1.2", "server", "send", "certificate", function(_, ev) ev.transcript = { bytes = "\0\0\0\0" } end, "transcript = { bytes" },
  { "plaintext out", "1.3", "server", "plain_out", "handshake", function(bytes) return bytes .. "\20\0\0\0" end, "plain_out = " },
  { "plaintext in", "1.2", "client", "plain_in", "handshake", function(bytes) return (bytes:gsub("localhost", "localhosT")) end, "plain_in = " },
  { "record in", "1.3", "client", "record_in", "application_data", function(bytes) return bytes:sub(1, -2) .. string.char(bytes:byte(-1) ~ 1) end, "record_in = " },
  { "record out dropped", "1.3", "server", "record_out", "handshake", function() return false end, "record_out = " },
}

describe("trace:script of a run with hooks writes their verdicts:", function()
  for _, v in ipairs(verdicts) do
    it(v[1], function()
      local lab = akushu.lab { seed = v[1] }
      local client = lab:client { versions = v[2] }:handshake { server_name = "localhost" }
      local server = lab:server { versions = v[2] }:handshake {}
      local hs = v[3] == "client" and client or server
      hs:on(v[4], v[5], v[6])
      local t = lab:run(client, server, { data = { "question", "answer" } })
      local text = assert(t:script { side = v[3] })
      assert.matches(v[3] .. ": as recorded", passes(text))
      assert.is_truthy(text:find(v[7], 1, true), text)
      assert.matches("local verdicts", text)
      -- Without the verdict it is another run.
      local without, n = text:gsub("local v = list%[n%]", "local v = nil")
      assert.equal(1, n)
      if v[1] ~= "transcript as built" then assert.has_error(function() passes(without) end) end
      -- The other side has met bytes, and needs no hooks.
      local other = assert(t:script { side = v[3] == "client" and "server" or "client" })
      assert.is_nil(other:find("local verdicts", 1, true))
    end)
  end

  it("of several hooks, at all gates, of a context too, in both roles", function()
    local lab = akushu.lab { seed = "all" }
    local n = 0
    local hooks = {}
    for i, gate in ipairs { "compose", "send", "plain_out", "record_out", "record_in", "plain_in", "receive" } do
      hooks[i] = { gate, "*", function(_, ev)
        n = n + 1
        if ev.name == "certificate" and gate == "send" then ev:fragment(100) end
        if n % 5 == 0 and gate == "record_out" then ev:before "" end
      end }
    end
    local t = lab:run(lab:client { versions = "1.3", hooks = hooks }, lab:server { versions = "1.3", hooks = hooks }, { data = { "a", "b" } })
    assert.is_true(t.ok)
    local text = assert(t:script())
    assert.matches("client: as recorded.*server: as recorded", passes(text))
    assert.matches("hooks is left out: what they said is below", text)
  end)
end)

-- ---- functions ---------------------------------------------------------------------------------------------------------------------

-- function(lab) → client's options, server's options; which side has the function; what the script must hold; options of the run.
local functions = {
  { "on_untrusted that goes on", "client", "on_untrusted = said { { true } }", function(lab)
    return { trust = akushu.trust { pem = akushu.testca.new { key = "ed25519", not_before = lab.clock - 100, not_after = lab.clock + 1e6 }:pem() },
      on_untrusted = function() return true end }, {}
  end },
  { "on_untrusted that remembers", "client", 'said { { "remember" } }', function()
    return { trust = akushu.testca.new():trust(), on_untrusted = function() return "remember" end }, {}
  end },
  { "on_untrusted that refuses with an alert of its own", "client", 'said { { false, "bad_certificate_status_response" } }', function()
    return { trust = akushu.testca.new():trust(), on_untrusted = function() return false, "bad_certificate_status_response" end }, {}
  end },
  { "on_untrusted that aborts", "client", "said { { false } }", function()
    return { trust = akushu.testca.new():trust(), on_untrusted = function() return nil end }, {}
  end },
  { "on_untrusted that raises", "client", "said { { raise = ", function()
    return { trust = akushu.testca.new():trust(), on_untrusted = function() error "no idea" end }, {}
  end },
  { "alpn that chooses", "server", "alpn = said { { \"b\" } }", function()
    return { alpn = { "a", "b" } }, { alpn = function() return "b" end }
  end },
  { "alpn that says nothing", "server", "alpn = said { {} }", function() return { alpn = { "a" } }, { alpn = function() end } end },
  { "alpn that refuses", "server", "alpn = said { { false } }", function() return { alpn = { "a" } }, { alpn = function() return false end } end },
  { "on_identity by server name", "server", "on_identity = said { { akushu.identity {", function(lab)
    local leaf = lab:issue { names = { "localhost" }, key = "ecdsa" }
    return {}, { on_identity = function() return leaf.identity end }
  end },
  { "on_identity from chain and key", "server", "on_identity = said { { akushu.identity {", function(lab)
    local leaf = lab:issue { names = { "localhost" }, key = "ecdsa" }
    return {}, { on_identity = function() return { chain = leaf.pem_chain, key = leaf.pem_key } end }
  end },
  { "on_identity that has none", "server", "on_identity = said { {} }", function() return {}, { on_identity = function() end } end },
  { "on_identity that refuses", "server", 'said { { false, "unrecognized_name" } }', function()
    return {}, { on_identity = function() return false, "unrecognized_name" end }
  end },
  { "on_identity of a client", "client", "on_identity = said { { akushu.identity {", function(lab)
    local leaf = lab:issue { names = { "client.example" }, purpose = "client" }
    return { on_identity = function() return leaf.identity end }, { client_auth = "require" }
  end },
  { "on_ocsp without a response", "server", "on_ocsp = said { {} }", function() return { ocsp = true }, { on_ocsp = function() end } end },
  { "on_ocsp that refuses", "server", "on_ocsp = said { { false, ", function() return { ocsp = true }, { on_ocsp = function() return false, "access_denied" end } end },
  { "on_psk that knows", "server", "on_psk = said { { ", function()
    local key = ("k"):rep(32)
    return { versions = "1.3", psk = { identity = "one", key = key } }, { versions = "1.3", on_psk = function() return key end }
  end },
  { "on_psk that does not know", "server", "on_psk = said { {} }", function()
    return { versions = "1.3", psk = { identity = "one", key = ("k"):rep(32) } }, { versions = "1.3", on_psk = function() end }
  end },
  { "keylog", "client", "keylog is left out", function() return { keylog = function() end }, {} end },
  { "a clock", "client", "clock = ticking {", function(lab)
    local now = lab.clock
    return { clock = function()
      now = now + 1
      return now
    end }, {}
  end },
  { "a key in a Secret", "client", "psk = ", function()
    local key = akushu.secret(("s"):rep(32))
    return { versions = "1.3", psk = { identity = "one", key = key } }, { versions = "1.3", psk = { identity = "one", key = key } }
  end },
  { "several identities", "server", "identity = { akushu.identity", function(lab)
    return {}, { identity = { lab:issue { names = { "other.example" }, key = "ecdsa" }.identity, lab:identity() } }
  end },
}

describe("trace:script of a run with functions writes what they said:", function()
  for _, f in ipairs(functions) do
    it(f[1], function()
      local lab = akushu.lab { seed = f[1] }
      local c, s = f[4](lab)
      local t = lab:run(lab:client(c), lab:server(s), { data = { "question", "answer" } })
      local text = assert(t:script { side = f[2] })
      assert.matches(f[2] .. ": as recorded", passes(text))
      assert.is_truthy(text:find(f[3], 1, true), text)
    end)
  end

  it("a session store, for sessions by id and by ticket of both versions", function()
    for _, version in ipairs { "1.2", "1.3" } do
      local lab, store = akushu.lab { seed = version }, {}
      local server = lab:server { versions = version, tickets = version == "1.3", sessions = { get = function(id) return store[id] end,
        put = function(id, bytes) store[id] = bytes end, remove = function(id) store[id] = nil end } }
      local client = lab:client { versions = version, reuse_tickets = true }
      local first = lab:run(client, server)
      assert.matches("server: as recorded", passes(assert(first:script { side = "server" })))
      local second = lab:run(client, server, { session = assert(first.client.session:resumption()) })
      assert.is_true(second.server.session.resumed)
      local text = assert(second:script { side = "server" })
      assert.matches("server: as recorded", passes(text))
      assert.matches("sessions = { get = said { {", text)
    end
  end)

  it("on_early_data, the first time and a replay", function()
    local lab, seen = akushu.lab { seed = "early" }, {}
    local server = lab:server { versions = "1.3", early_data = 1000, on_early_data = function(key)
      local first = not seen[key]
      seen[key] = true
      return first
    end }
    local client = lab:client { versions = "1.3", reuse_tickets = true }
    local session = assert(lab:run(client, server).client.session:resumption())
    lab:advance(1)
    local t = lab:run(client, server, { session = session, early = "early" })
    assert.equal("early", t.server.early)
    assert.matches("on_early_data = said { { true } }", assert(t:script { side = "server" }))
    assert.matches("client: as recorded", passes(assert(t:script { side = "client" })))
  end)
end)
