-- Client authentication after the handshake (RFC 8446 §4.6.2) asks what the handshake asks: on_identity, on_untrusted, hooks; several requests at once.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local pump = require "spec.support.pump"
local merge = require "spec.support.merge"

local leaf, mine, other = certs.ecdsa(), certs.leaf("ecdsa", "client"), certs.leaf("rsa", "client")

local function connect(client, server, session)
  local c = akushu.client(merge({ trust = leaf.trust, identity = mine.identity, post_handshake_auth = true, versions = "1.3" }, client))
  local s = akushu.server(merge({ identity = leaf.identity, trust = leaf.trust, post_handshake_auth = true }, server))
  local a, b = pump.run(c:handshake { server_name = "localhost", session = session }, s:handshake())
  assert(a.session and b.session, a.message or b.message)
  return a, b, c, s
end

local function ask(c, s, chunk)
  local request = assert(s.session:request_certificate())
  for at = 1, #request, chunk or #request do c:deliver(request:sub(at, at + (chunk or #request) - 1)) end
  pump.move(c, s, chunk)
end

local function talk(c, s)
  assert.equal("one", pump.transfer(c, s, "one"))
  assert.equal("two", pump.transfer(s, c, "two"))
end

describe("authentication after the handshake: on_identity", function()
  it("chooses, seeing the request and the session", function()
    local seen
    local c, s = connect({ identity = {}, on_identity = function(names, session, request)
      seen = { names = names, session = session, request = request }
      return mine.identity
    end })
    ask(c, s)
    assert.is_nil(s.failure)
    assert.equal("CN=client.example", s.session.peer.certificate.subject)
    assert.equal("ok", s.session.report.verdict)
    assert.equal(c.session, seen.session)
    assert.equal("certificate_request", seen.request.type)
    assert.equal(16, #seen.request.certificate_request_context)
    assert.same({ mine.trust.certificates[1].subject }, { table.unpack(seen.names) })
    talk(c, s)
  end)

  it("in the handshake sees the request, too", function()
    for _, version in ipairs { "1.2", "1.3" } do
      local request
      connect({ identity = {}, versions = version, post_handshake_auth = version == "1.3", on_identity = function(_, _, r)
        request = r
        return mine.identity
      end }, { client_auth = "require" })
      assert.equal("certificate_request", request.type)
    end
    local n
    connect(nil, { on_identity = function(...)
      n = select("#", ...)
      return leaf.identity
    end })
    assert.is_true(n >= 2)
  end)

  it("may have none, may refuse with an alert, may answer nonsense, may raise", function()
    local c, s = connect { on_identity = function() return nil end }
    ask(c, s)
    assert.is_nil(s.failure)
    assert.is_nil(s.session.peer)
    talk(c, s)

    c, s = connect { on_identity = function() return false, "access_denied" end }
    ask(c, s)
    assert.equal("identity_refused", c.failure.code)
    assert.equal("access_denied", s.failure.alert)

    c, s = connect { on_identity = function() return 1 end }
    ask(c, s)
    assert.equal("hook_failed", c.failure.code)
    assert.is_truthy(tostring(c.failure.error):find "on_identity must return an identity")

    local thing = { "an error value" }
    c, s = connect { on_identity = function() error(thing) end }
    ask(c, s)
    assert.equal("hook_failed", c.failure.code)
    assert.equal(thing, c.failure.error)
    assert.equal("internal_error", s.failure.alert)
    assert.equal("failed", c.session.state)
  end)

  it("may yield: data can be sent meanwhile, and leaves in order", function()
    local c, s = connect { on_identity = function() return coroutine.yield "which?" end }
    local request = assert(s.session:request_certificate())
    local co = coroutine.create(function() return c.session:open(request .. s.session:seal "behind it") end)
    local _, asked = coroutine.resume(co)
    assert.equal("which?", asked)
    assert.has_error(function() c.session:open "" end)
    s:deliver(assert(c.session:update_keys()))
    s:deliver(assert(c.session:seal "meanwhile"))
    assert.equal("meanwhile", s:received())
    local ok, plain, reply = coroutine.resume(co, mine.identity)
    assert.is_true(ok)
    assert.equal("behind it", plain)
    s:deliver(reply)
    assert.is_nil(s.failure)
    assert.equal("CN=client.example", s.session.peer.certificate.subject)
    talk(c, s)
  end)

  it("may close the session, or release it, while it is asked", function()
    local c, s
    c, s = connect { on_identity = function(_, session)
      session:close()
      return mine.identity
    end }
    local request = assert(s.session:request_certificate())
    local plain, _, failure = c.session:open(request)
    assert.is_nil(plain)
    assert.equal("closed", failure.code)
    c, s = connect { on_identity = function(_, session) getmetatable(session).__close(session) end }
    request = assert(s.session:request_certificate())
    plain, _, failure = c.session:open(request)
    assert.is_nil(plain)
    assert.equal("closed", failure.code)
  end)
end)

describe("authentication after the handshake: on_untrusted", function()
  local function stranger(answer)
    return connect({ identity = other.identity }, { on_untrusted = answer })
  end

  it("may go on, and sees the report and the session", function()
    local seen
    local c, s = stranger(function(report, session)
      seen = { report.verdict, session }
      return true
    end)
    ask(c, s)
    assert.is_nil(s.failure)
    assert.same("unknown_ca", seen[1])
    assert.equal(s.session, seen[2])
    assert.equal("unknown_ca", s.session.report.verdict)
    assert.is_truthy(tostring(s.session.report):find "client.example")
    talk(c, s)
  end)

  it("may refuse, with an alert, and the failure has the report", function()
    for _, row in ipairs { { code = "unknown_ca", alert = "unknown_ca" }, { false, "access_denied", code = "certificate_rejected", alert = "access_denied" } } do
      local c, s = stranger(function() return row[1], row[2] end)
      ask(c, s)
      assert.equal(row.code, s.failure.code)
      assert.equal(row.alert, s.failure.alert)
      assert.equal(row.alert, c.failure.alert)
      assert.equal("peer", c.failure.origin)
      assert.equal("unknown_ca", s.session.report.verdict)
      assert.is_nil(s.session.peer)
    end
  end)

  it("may yield, in the middle of all messages in one record, or one in each byte", function()
    for _, chunk in ipairs { 16384, 7 } do
      local c, s = stranger(function() return coroutine.yield "go on?" end)
      local _, reply = assert(c.session:open(assert(s.session:request_certificate())))
      reply = reply .. c.session:seal "and data"
      local got, asked = {}, 0
      for at = 1, #reply, chunk do
        local co = coroutine.create(function() return s.session:open(reply:sub(at, at + chunk - 1)) end)
        local ok, plain = coroutine.resume(co)
        assert.is_true(ok)
        if plain == "go on?" then
          asked = asked + 1
          assert.is_nil(s.session.peer)
          c:deliver(s.session:seal "meanwhile")
          ok, plain = coroutine.resume(co, true)
          assert.is_true(ok)
        end
        got[#got + 1] = plain
      end
      assert.equal(1, asked)
      assert.equal("and data", table.concat(got))
      assert.equal("meanwhile", c:received())
      assert.equal("CN=client.example", s.session.peer.certificate.subject)
    end
  end)
end)

describe("authentication after the handshake: hooks", function()
  it("see every message at compose, send and receive, on both sides", function()
    local seen = {}
    local function watch(side)
      local list = {}
      for _, gate in ipairs { "compose", "send", "receive" } do
        list[#list + 1] = { gate, "*", function(_, ev) seen[#seen + 1] = side .. " " .. gate .. " " .. ev.name end }
      end
      return list
    end
    local c, s = connect({ hooks = watch "c" }, { hooks = watch "s" })
    seen = {}
    ask(c, s)
    assert.is_nil(s.failure)
    assert.same({ "s compose certificate_request", "s send certificate_request", "c receive certificate_request", "c compose certificate",
      "c send certificate", "c compose certificate_verify", "c send certificate_verify", "c compose finished", "c send finished",
      "s receive certificate", "s receive certificate_verify", "s receive finished" }, seen)
  end)

  it("may change what goes out: the transcripts take it on both sides", function()
    local c, s = connect(nil, { hooks = { { "compose", "certificate_request", function(m)
      table.insert(m.extensions, { type = 0x5a5a, data = "grease" })
    end } } })
    ask(c, s)
    assert.is_nil(s.failure)
    assert.is_truthy(s.session.peer)
    c, s = connect { hooks = { { "send", "certificate_verify", function(m) m.signature = ("x"):rep(#m.signature) end } } }
    ask(c, s)
    assert.equal("bad_signature", s.failure.code)
    assert.equal("decrypt_error", c.failure.alert)
    assert.equal("wait_certificate_verify", s.failure.state)
  end)

  it("may drop a request, fail, and yield", function()
    local c, s = connect { hooks = { { "receive", "certificate_request", function() return false end } } }
    ask(c, s)
    assert.is_nil(s.session.peer)
    talk(c, s)
    c, s = connect(nil, { hooks = { { "receive", "certificate", function(_, ev) if ev.state ~= "x" then ev:fail("bad_certificate", "no") end end } } })
    ask(c, s)
    assert.equal("hook_refused", s.failure.code)
    assert.equal("bad_certificate", c.failure.alert)
    c, s = connect(nil, { hooks = { { "compose", "certificate_request", function() coroutine.yield "composed" end } } })
    local co = coroutine.create(function() return s.session:request_certificate() end)
    local _, what = coroutine.resume(co)
    assert.equal("composed", what)
    assert.has_error(function() s.session:request_certificate() end)
    local ok, request = coroutine.resume(co)
    assert.is_true(ok)
    c:deliver(request)
    pump.move(c, s)
    assert.is_truthy(s.session.peer)
  end)
end)

-- Two ends after a handshake, where a hook of the client's at this gate and message suspends what opens request(server's session); and what ends that: it gives
-- the server the rest, and both talk.
local function suspended(gate, message, request)
  local armed = false
  local c, s = connect { hooks = { { gate, message, function()
    if armed then coroutine.yield "suspended" end
  end } } }
  armed = true
  local bytes = request(s.session)
  local co = coroutine.create(function() return c.session:open(bytes) end)
  local _, what = coroutine.resume(co)
  assert.equal("suspended", what)
  return c, s, function()
    local ok, _, reply = coroutine.resume(co)
    assert.is_true(ok)
    s:deliver(reply)
    assert.is_nil(s.failure)
    assert.is_truthy(s.session.peer)
    talk(c, s)
  end
end

it("authentication after the handshake: the key stays while Finished is made", function()
  local c, s, finish = suspended("send", "finished", function(session) return assert(session:request_certificate()) end)
  local none, _, failure = c.session:update_keys()
  assert.is_nil(none)
  assert.equal("not_ready", failure.code)
  s:deliver(assert(c.session:seal "meanwhile"))
  assert.equal("meanwhile", s:received())
  finish()
end)

-- RFC 8446 §4.6.3: the KeyUpdate that the peer asked for is sent before the next data.
describe("authentication after the handshake and a KeyUpdate that came before it", function()
  local function both(session) return assert(session:update_keys(true)) .. assert(session:request_certificate()) end

  it("no data goes out while Finished is made", function()
    local c, _, finish = suspended("send", "finished", both)
    local none, _, failure = c.session:seal "meanwhile"
    assert.is_nil(none)
    assert.equal("not_ready", failure.code)
    finish()
  end)

  it("data while the certificate is chosen has the KeyUpdate before it", function()
    local c, s, finish = suspended("receive", "certificate_request", both)
    local sent = assert(c.session:seal "meanwhile")
    assert.equal(5 + 5 + 17 + 5 + 9 + 17, #sent)
    s:deliver(sent)
    assert.equal("meanwhile", s:received())
    finish()
  end)
end)

it("authentication after the handshake: nothing is sealed between its records", function()
  local armed = false
  local c, s = connect { max_fragment = 64, hooks = { { "plain_out", "handshake", function()
    if armed then coroutine.yield "between" end
  end } } }
  armed = true
  local request = assert(s.session:request_certificate())
  local co = coroutine.create(function() return c.session:open(request) end)
  local n, ok, what, reply = 0, coroutine.resume(co)
  while what == "between" do
    n = n + 1
    local none, _, failure = c.session:seal "x"
    assert.is_nil(none)
    assert.equal("not_ready", failure.code)
    ok, what, reply = coroutine.resume(co)
  end
  assert.is_true(ok and n > 6)
  s:deliver(reply)
  assert.is_truthy(s.session.peer)
  talk(c, s)
end)

describe("authentication after the handshake: several requests", function()
  it("are all answered, with data and KeyUpdates between them", function()
    local c, s = connect()
    local requests = {}
    for i = 1, 3 do requests[i] = assert(s.session:request_certificate()) end
    for _, request in ipairs(requests) do
      c:deliver(request)
      pump.move(c, s)
      assert.is_nil(s.failure)
      assert.equal("CN=client.example", s.session.peer.certificate.subject)
      s:deliver(assert(c.session:seal "x") .. assert(c.session:update_keys(false)) .. c.session:seal "y")
    end
    assert.equal("xyxyxy", s:received())
    talk(c, s)
  end)

  -- Requests from the server; the client gets the bytes of them in the order told (its hook puts one in the place of another), and answers in that order.
  local function in_order(order, identities)
    local raw, n = {}, 0
    local c, s = connect({ on_identity = function() return identities[n] end, hooks = { { "receive", "certificate_request", function()
      n = n + 1
      return raw[order[n]]
    end } } }, { hooks = { { "send", "certificate_request", function(_, ev) raw[#raw + 1] = ev.raw end } } })
    local all = {}
    for i = 1, #order do all[i] = assert(s.session:request_certificate()) end
    c:deliver(table.concat(all))
    pump.move(c, s)
    return c, s, raw
  end

  it("may be answered in any order, by another identity each; the last one counts", function()
    for _, order in ipairs { { 1, 2, 3 }, { 3, 2, 1 }, { 2, 3, 1 } } do
      local second = certs.leaf("ed25519", "client")
      local c, s, raw = in_order(order, { mine.identity, mine.identity, second.identity })
      assert.is_nil(s.failure, s.message)
      assert.equal(second.identity.chain[1].der, s.session.peer.certificate.der)
      assert.is_string(s.session.peer.certificate.der)
      local contexts = {}
      for _, bytes in ipairs(raw) do
        assert.is_nil(contexts[bytes:sub(6, 21)])
        contexts[bytes:sub(6, 21)] = true
      end
      talk(c, s)
      ask(c, s)
    end
  end)

  it("each is answered once", function()
    local _, s = in_order({ 1, 1 }, { mine.identity, mine.identity })
    assert.equal("illegal_parameter", s.failure.code)
  end)

  it("are bounded on both sides", function()
    local c, s = connect()
    for _ = 1, 8 do assert(s.session:request_certificate()) end
    local none, _, failure = s.session:request_certificate()
    assert.is_nil(none)
    assert.equal("not_ready", failure.code)
    assert.equal("open", s.session.state)
    assert.is_nil(c.failure)

    c, s = connect()
    for i = 1, 33 do
      local request = assert(s.session:request_certificate())
      c:deliver(request)
      pump.move(c, s)
      assert.equal(i <= 32, c.failure == nil)
      if c.failure then break end
    end
    assert.equal("too_many_requests", c.failure.code)
    assert.equal("unexpected_message", s.failure.alert)

    c, s = connect()
    for _ = 1, 40 do
      ask(c, s)
      talk(c, s)
    end
    assert.is_nil(c.failure)
  end)

  it("that nobody answers are released with the session", function()
    local _, s = connect()
    for _ = 1, 8 do assert(s.session:request_certificate()) end
    assert(s.session:close())
    assert.equal("closed", s.session.state)
  end)
end)

describe("authentication after the handshake: other things", function()
  it("with compressed certificates", function()
    if not akushu.supports("certificate_compression", "zlib") then pending "no zlib" return end
    local seen = {}
    local c, s = connect({ certificate_compression = { "zlib" }, hooks = { { "send", "*", function(_, ev) seen[ev.name] = true end } } },
      { certificate_compression = { "zlib" } })
    ask(c, s)
    ask(c, s, 1)
    assert.is_nil(s.failure)
    assert.is_true(seen.compressed_certificate)
    assert.equal("CN=client.example", s.session.peer.certificate.subject)
  end)

  it("in a resumed session, with exporters and key log as they were", function()
    local lines = {}
    local a, b, c, s = connect({ keylog = function(line) lines[#lines + 1] = line end })
    pump.move(a, b)
    local ticket = assert(a.session:resumption())
    local x, y = pump.run(c:handshake { server_name = "localhost", session = ticket }, s:handshake())
    assert.is_true(x.session.resumed)
    assert.is_nil(y.session.peer)
    local n, before = #lines, x.session:export("EXPORTER-x", nil, 32)
    ask(x, y)
    assert.is_truthy(y.session.peer)
    assert.equal(n, #lines)
    assert.equal(before, x.session:export("EXPORTER-x", nil, 32))
    assert.equal(before, y.session:export("EXPORTER-x", nil, 32))
  end)

  it("is ignored by a client that has said close_notify, and refused to one that has", function()
    local c, s = connect()
    local request = assert(s.session:request_certificate())
    assert(c.session:close_write())
    local plain, reply = c.session:open(request)
    assert.equal("", plain)
    assert.equal("", reply)
    c, s = connect()
    assert(s.session:close_write())
    local none, _, failure = s.session:request_certificate()
    assert.is_nil(none)
    assert.equal("not_ready", failure.code)
    assert.is_nil(c.failure)
  end)

  it("an empty answer where a certificate is required", function()
    local c, s = connect({ identity = {}, on_identity = function() return nil end }, { client_auth = "none" })
    ask(c, s)
    assert.is_nil(s.failure)
    c, s = connect({}, { client_auth = "require", hooks = { { "receive", "certificate", function(m, ev)
      if #m.certificate_request_context ~= 0 then
        m.certificate_list = {}
        ev.transcript = "as_built"
      end
    end } } })
    ask(c, s)
    assert.equal("certificate_required", s.failure.code)
    assert.equal("certificate_required", c.failure.alert)
  end)
end)
