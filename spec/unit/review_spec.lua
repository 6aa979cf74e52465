-- What a hostile reader has found in handshakes and their binding: objects closed under a hook's feet, memory that nobody releases, sessions that change
-- contexts.
local akushu = require "akushu"
local checks = require "spec.support.checks"
local native = require "spec.support.native"
local pump = require "spec.support.pump"
local testca = require "akushu.testca"

local ca, stranger = testca.new { name = "review root" }, testca.new { name = "another root" }
local leaf = ca:issue { names = { "localhost" } }

local function client(o)
  local all = { trust = ca:trust() }
  for k, v in pairs(o or {}) do all[k] = v end
  return akushu.client(all)
end

local function server(o)
  local all = { identity = leaf.identity }
  for k, v in pairs(o or {}) do all[k] = v end
  return akushu.server(all)
end

local function closed(out, message, failure)
  assert.is_nil(out)
  assert.matches("closed", message)
  assert.equal("aborted", failure.code)
  assert.is_nil(failure.alert)
end

describe("a hook that closes the handshake it is called for", function()
  for _, gate in ipairs { "compose", "send", "plain_out", "record_out" } do
    it("at " .. gate, function()
      local hs = client():handshake { server_name = "localhost" }
      hs:on(gate, "*", function() hs:close() end)
      closed(hs:start())
    end)
    it("at " .. gate .. ", and raises", function()
      local hs = client():handshake { server_name = "localhost" }
      hs:on(gate, "*", function()
        hs:close()
        error "and more"
      end)
      closed(hs:start())
    end)
  end

  for _, gate in ipairs { "record_in", "plain_in", "receive" } do
    it("at " .. gate, function()
      local c, s = client():handshake { server_name = "localhost" }, server():handshake()
      s:on(gate, "*", function() s:close() end)
      closed(s:step(c:start()))
    end)
  end

  it("in a question", function()
    local c, s = client():handshake { server_name = "localhost" }, nil
    s = server { on_identity = function() s:close() end }:handshake()
    closed(s:step(c:start()))
  end)

  it("while the hook is suspended", function()
    local hs = client():handshake { server_name = "localhost" }
    hs:on("compose", "client_hello", function() coroutine.yield() end)
    local co = coroutine.create(function() return hs:start() end)
    assert.is_true(coroutine.resume(co))
    hs:close()
    closed(select(2, coroutine.resume(co)))
  end)

  it("by way of a coroutine that is closed", function()
    local hs
    local co = coroutine.create(function()
      local mine <close> = client():handshake { server_name = "localhost" }
      hs = mine
      mine:on("compose", "client_hello", function() coroutine.yield() end)
      return mine:start()
    end)
    assert.is_true(coroutine.resume(co))
    assert.is_true(coroutine.close(co))
    assert.matches("closed", tostring(hs))
  end)

  it("in the clock", function()
    local hs
    local context = client { clock = function()
      if hs then hs:close() end
      return os.time()
    end }
    hs = context:handshake { server_name = "localhost" }
    assert.has_error(function() hs:start() end)
  end)
end)

it("a key log function may take the session, and may raise after that", function()
  local c, session
  local context = client { keylog = function()
    if not c.done then return end
    session = session or assert(c:session())
    error "no room on the disk"
  end }
  c = context:handshake { server_name = "localhost" }
  local s = server():handshake()
  local from_server = s:step(c:start())
  local out, _, failure = c:step(from_server)
  assert.is_nil(out)
  assert.equal("hook_failed", failure.code)
  assert.is_nil(failure.alert)
  assert.equal("open", session.state)
  assert.is_true(#c:pending() > 0) -- its Finished, which made the session
end)

it("a client that offers TLS 1.3 and gets 1.2 leaves no key share behind", function()
  local c, s = client { key_shares = { "secp521r1", "x448", "secp384r1", "x25519" } }, server { max_version = "1.2" }
  local function some(n)
    for _ = 1, n do
      local one = c:handshake { server_name = "localhost" }
      local other = s:handshake()
      assert(one:step(other:step(one:start())))
      assert.equal("1.2", one.version)
      one:close()
      other:close()
    end
  end
  some(50)
  local before = native.heap()
  some(400)
  local grown = native.heap() - before -- the smallest share takes more than 600 bytes
  assert.is_true(grown < 400 * 300, grown .. " bytes")
end)

describe("a session does not change contexts", function()
  for _, version in ipairs { "1.2", "1.3" } do
    it("a server that trusts other CAs asks for the certificate again, TLS " .. version, function()
      local keys = ("k"):rep(48)
      local mallory = stranger:issue { names = { "mallory.example" }, purpose = "client" }
      local c = client { identity = mallory.identity }
      local function with(trust)
        return server { min_version = version, max_version = version, client_auth = "require", trust = trust, ticket_keys = keys }
      end
      local one, other = with(stranger:trust()), with(ca:trust())
      local _
      local a, b = pump.run(c:handshake { server_name = "localhost" }, one:handshake())
      assert.is_nil(b.failure)
      local kept = a.session:resumption()
      _, b = pump.run(c:handshake { server_name = "localhost", session = kept }, other:handshake())
      assert.equal("unknown_ca", b.failure and b.failure.alert)
      assert.is_nil(b.session)
      assert.is_false(b.hs.resumed)
      -- where it belongs it is taken
      a = pump.run(c:handshake { server_name = "localhost" }, one:handshake())
      _, b = pump.run(c:handshake { server_name = "localhost", session = a.session:resumption() }, one:handshake())
      assert.is_true(b.session.resumed)
      assert.equal("CN=mallory.example", b.session.peer.certificate.subject)
    end)

    it("a client that trusts other CAs looks at the certificate again, TLS " .. version, function()
      local s = server { min_version = version, max_version = version }
      local a = pump.run(client():handshake { server_name = "localhost" }, s:handshake())
      local kept = a.session:resumption()
      a = pump.run(client { trust = stranger:trust() }:handshake { server_name = "localhost", session = kept }, s:handshake())
      assert.is_false(a.hs.resumed)
      assert.equal("unknown_ca", a.failure and a.failure.alert)
    end)

    it("what a context demands of a chain is asked of resumed ones, too: later changes as well, TLS " .. version, function()
      local s = server { min_version = version, max_version = version }
      local function kept_by(c)
        local a = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
        assert.is_nil(a.failure)
        return a.session:resumption()
      end
      local function resumed(c, session)
        local a = pump.run(c:handshake { server_name = "localhost", session = session }, s:handshake())
        return a.hs.resumed, a.failure
      end
      assert.is_true(resumed(client { trust = ca:trust() }, kept_by(client { trust = ca:trust() }))) -- the same CAs in another store
      for name, value in pairs { security_level = 1, on_untrusted = function() return true end, ocsp = true, verify = "chain", schemes = { "ecdsa_secp256r1_sha256" },
        cert_schemes = { "ecdsa_secp256r1_sha256" } } do
        local lax = { trust = ca:trust(), [name] = value }
        assert.is_false(resumed(client(), kept_by(client(lax))), name)
        assert.is_true(resumed(client(lax), kept_by(client(lax))), name)
      end
      -- one more CA, and the order in which they came
      local trust, both = ca:trust(), akushu.trust { certificates = { stranger.certificate, ca.certificate } }
      local c = client { trust = trust }
      local session = kept_by(c)
      trust:add(stranger.certificate)
      assert.is_false(resumed(c, session))
      assert.is_true(resumed(client { trust = both }, kept_by(c)))
      -- a CRL that revokes the server's certificate
      session = kept_by(c)
      trust:add_crl(ca:crl { revoked = { leaf } })
      local again, failure = resumed(c, session)
      assert.is_false(again)
      assert.equal("certificate_revoked", failure and failure.alert)
    end)

    it("what was not verified is not resumed where verification is asked for, TLS " .. version, function()
      local s = server { min_version = version, max_version = version }
      local a = pump.run(akushu.client { verify = false }:handshake { server_name = "elsewhere.example" }, s:handshake())
      local kept = a.session:resumption()
      a = pump.run(client():handshake { server_name = "elsewhere.example", session = kept }, s:handshake())
      assert.is_false(a.hs.resumed)
      assert.is_not_nil(a.failure)
    end)
  end
end)

it("a server cannot make a TLS 1.2 session live longer by sending new tickets for it", function()
  local now = 1800000000
  local function clock() return now end
  local day = 86400
  local root = testca.new { name = "review root", key = ca.key, not_before = now - day, not_after = now + 30 * day }
  local fresh = root:issue { names = { "localhost" }, not_before = now - day, not_after = now + 30 * day }
  local s = akushu.server { identity = fresh.identity, max_version = "1.2", session_lifetime = 3000, clock = clock, ticket_keys = ("a"):rep(48) }
  local c = akushu.client { trust = root:trust(), session_lifetime = 4000, clock = clock }
  local a = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
  assert.is_nil(a.failure)
  local kept = a.session:resumption()
  local expires = kept.expires
  now = now + 2000
  -- the server's key has changed: it opens the ticket with the old one and sends a new one, and says once more how long that is good
  s:set_ticket_keys(("b"):rep(48) .. ("a"):rep(48))
  local hs = s:handshake()
  hs:on("compose", "new_session_ticket", function(message)
    message.ticket_lifetime_hint = 3500
    return message
  end)
  a = pump.run(c:handshake { server_name = "localhost", session = kept }, hs)
  assert.is_nil(a.failure)
  assert.is_true(a.session.resumed)
  local renewed = a.session:resumption()
  assert.are_not.equal(kept:serialize(), renewed:serialize())
  assert.is_true(renewed.expires <= expires, renewed.expires - expires)
end)

describe("what a ClientHello costs", function()
  local function ext(number, body) return string.pack(">I2s2", number, body) end

  local function hello(suite, suites, groups, more)
    local extensions = ext(10, string.pack(">s2", ("\x99\x99"):rep(groups))) .. ext(13, string.pack(">s2", "\4\3\8\4")) .. (more or "")
    local body = "\3\3" .. ("r"):rep(32) .. "\0" .. string.pack(">s2", string.pack(">I2", suite):rep(suites)) .. "\1\0" .. string.pack(">s2", extensions)
    local message, records = "\1" .. string.pack(">s3", body), {}
    for at = 1, #message, 16384 do records[#records + 1] = "\22\3\1" .. string.pack(">s2", message:sub(at, at + 16383)) end
    return table.concat(records)
  end

  local ecdsa = akushu.supports("suites", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")
  local rows = {
    ["the server's order"] = {},
    ["the client's order"] = { prefer = "client" },
    ["suites of one rank"] = { suites = { { "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" } } },
  }
  for name, o in pairs(rows) do
    it("a suite 16000 times and 16000 groups: " .. name, function()
      o.max_version = "1.2"
      local context, bytes = server(o), hello(ecdsa, 16000, 16000)
      local failure = checks.within(0.25, function() return (select(3, context:handshake():step(bytes))) end) -- 0.5 ms where this was written
      assert.equal("no_shared_suite", failure.code)
    end)
  end
end)

it("early data is taken once, also when two handshakes ask the application's store at the same time", function()
  local store, now = {}, os.time() -- by one clock that stands still: what counts is not the ticket's age
  local s = server { early_data = 1000, clock = now, sessions = {
    get = function(key)
      local found = store[key]
      if coroutine.isyieldable() then coroutine.yield() end
      return found
    end,
    put = function(key, value) store[key] = value end,
    remove = function(key) store[key] = nil end,
  } }
  local c = client { clock = now }
  local a = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
  local hs = c:handshake { server_name = "localhost", session = a.session:resumption() }
  assert(hs:send_early "pay 100")
  local flight = hs:start()
  local both, taken = {}, {}
  for i = 1, 2 do
    local one = s:handshake()
    local co = coroutine.create(function()
      assert(one:step(flight))
      taken[i] = one:take_early_data()
    end)
    assert(coroutine.resume(co))
    both[i] = { one, co }
  end
  for _, b in ipairs(both) do assert(coroutine.resume(b[2])) end
  assert.same({ "pay 100", "" }, taken)
  assert.same({ "accepted", "refused", "replayed" }, { both[1][1].early_data, both[2][1].early_data, both[2][1].early_data_reason })
end)

it("who resumes with a ticket cannot make the server forget a session whose id he has seen", function()
  local s = server { max_version = "1.2" }
  -- the victim's session, in the server's store
  local victim = client { tickets = false }
  local a = pump.run(victim:handshake { server_name = "localhost" }, s:handshake())
  local theirs = a.session:resumption()
  local id = theirs.session_id
  assert.equal(32, #id)
  assert.equal(1, s:stored_sessions())
  -- a ticket of somebody else's, sent with the victim's id, and a fatal alert after the handshake
  local other = client()
  a = pump.run(other:handshake { server_name = "localhost" }, s:handshake())
  local hs = other:handshake { server_name = "localhost", session = a.session:resumption() }
  hs:on("compose", "client_hello", function(message)
    message.session_id = id
    return message
  end)
  local x, b = pump.run(hs, s:handshake())
  assert.is_true(b.session.resumed)
  assert.equal(id, b.session.session_id)
  b:deliver(x.session:alert "internal_error")
  assert.equal("failed", b.session.state)
  assert.equal(1, s:stored_sessions())
  a = pump.run(victim:handshake { server_name = "localhost", session = theirs }, s:handshake())
  assert.is_true(a.session.resumed)
end)

it("a clock that says no number of seconds is refused", function()
  for _, now in ipairs { math.huge, -math.huge, 0 / 0, 1e300, "1767225600", {}, false } do
    local hs = client { clock = function() return now end }:handshake { server_name = "localhost" }
    local here = debug.getinfo(1, "l").currentline + 1
    local ok, message = pcall(function() local out = hs:start() return out end)
    assert.is_false(ok)
    assert.equal(1, message:find(("%s:%d: option 'clock': seconds since 1970 expected, got "):format(debug.getinfo(1, "S").short_src, here), 1, true))
  end
end)

it("a kept session whose times are no times is refused", function()
  local s = server { max_version = "1.2" }
  local a = pump.run(client():handshake { server_name = "localhost" }, s:handshake())
  local bytes = a.session:resumption():serialize()
  assert(akushu.resumption(bytes))
  local created_at = 3 + 1 + 1 + 2 + 2 + 1
  for _, at in ipairs { created_at, created_at + 8 } do
    local r, _, failure = akushu.resumption(bytes:sub(1, at - 1) .. "\x7f" .. ("\xff"):rep(7) .. bytes:sub(at + 8))
    assert.is_nil(r)
    assert.equal("bad_session", failure.code)
  end
end)

it("a certificate after the handshake counts from its Finished on, not before", function()
  local mine = ca:issue { names = { "client.example" }, purpose = "client" }
  local c = client { identity = mine.identity, post_handshake_auth = true, max_fragment = 64, min_version = "1.3" }
  local a, b = pump.run(c:handshake { server_name = "localhost" }, server { trust = ca:trust(), post_handshake_auth = true }:handshake())
  local _, reply = assert(a.session:open(assert(b.session:request_certificate())))
  local at, records = 1, 0
  while at <= #reply do
    assert.is_nil(b.session.peer)
    assert.is_nil(b.session.report)
    local n = 5 + string.unpack(">I2", reply, at + 3)
    assert(b.session:open(reply:sub(at, at + n - 1)))
    at, records = at + n, records + 1
  end
  assert.is_true(records > 6)
  assert.equal("CN=client.example", b.session.peer.certificate.subject)
  assert.equal("ok", b.session.report.verdict)
end)

it("a class's properties are read of its own objects alone", function()
  local s = server { max_version = "1.2" }
  local a = pump.run(client():handshake { server_name = "localhost" }, s:handshake())
  local objects = { leaf.identity.chain[1], a.session:resumption(), s, ca:trust(), leaf.identity, a.session, a.hs, akushu.secret "x" }
  for _, one in ipairs(objects) do
    local index = getmetatable(one).__index
    for _, name in ipairs { "version", "subject", "role", "suite", "sources", "chain", "state", "server_name", "der" } do
      for _, other in ipairs { {}, io.stdout, objects[1], objects[2], objects[3] } do
        local ok, value = pcall(index, other, name)
        -- either it is refused, or it is no property of this class
        assert.is_true(rawequal(one, other) or not ok or value == nil or type(value) == "function", name)
      end
    end
  end
end)

it("a handshake whose session was taken has nothing to send ahead", function()
  for _, version in ipairs { "1.3", "1.2" } do
    local c, s = client { max_version = version, false_start = true }, server { max_version = version }
    local a, b = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
    assert.is_truthy(a.session and b.session)
    for _, hs in ipairs { a.hs, b.hs } do
      assert.is_false(hs.may_send)
      local out, _, failure = hs:send "data"
      assert.is_nil(out)
      assert.equal("not_ready", failure.code)
    end
  end
end)

it("what is no name of a way to compress certificates leaves nothing behind", function()
  local find = require("akushu.core").find_certificate_compression -- under the address sanitizer: leaks are found
  for _, wrong in ipairs { false, {}, print } do assert.has_error(function() find(wrong) end) end
end)
