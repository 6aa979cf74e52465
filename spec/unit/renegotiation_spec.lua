-- Renegotiation (RFC 5246 §7.4.1.1, RFC 5746), client side: when it may be had, what it says, what must stay the same. Servers here never renegotiate, so the
-- peer is made of two of them: the second one's handshake goes through the first one's keys.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local core = require "akushu.core"
local mutate = require "spec.support.mutate"
local peers = require "spec.support.peers"
local pump = require "spec.support.pump"

local suite = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
local V12 = 0x0303

local function client(o)
  local all = { trust = certs.ecdsa().trust, versions = "1.2", suites = { suite }, renegotiation = true }
  for k, v in pairs(o or {}) do all[k] = v end
  return akushu.client(all)
end

local function server(o)
  local all = { identity = certs.ecdsa().identity, versions = "1.2", suites = { suite } }
  for k, v in pairs(o or {}) do all[k] = v end
  return akushu.server(all)
end

-- A connection whose server's keys are known here: { context =, session = (the client's), seal =, open =, client_finished =, server_finished = }
local function connect(o)
  o = o or {}
  local c = client(o.client)
  local hc, hs = c:handshake { server_name = "localhost" }, (o.server or server()):handshake()
  local known, block = { context = c }, nil
  for side, h in pairs { client = hc, server = hs } do
    h:on("send", "finished", function(m) known[side .. "_finished"] = m.verify_data end)
  end
  hs:on("receive", "finished", function() block = hs:secret("key_block"):reveal() end)
  if o.strip then hs:on("send", "server_hello", function(m) mutate.without(m, "renegotiation_info") end) end
  local one, two = pump.run(hc, hs)
  assert(one.session, one.message)
  assert(two.session, two.message)
  known.session, known.server = one.session, two.session
  -- client_write_key, server_write_key, client_write_IV, server_write_IV (RFC 5246 §6.3); the Finished was record 0
  known.open = core.record.protect(suite, V12, { key = block:sub(1, 16), iv = block:sub(33, 36), open = true, seq = 1 })
  known.seal = core.record.protect(suite, V12, { key = block:sub(17, 32), iv = block:sub(37, 40), seq = 1 })
  return known
end

-- Asks for it, as a server would.
local function ask(known)
  local plain, reply = known.session:open(known.seal:seal(22, mutate.message("hello_request", "")))
  assert.equal("", plain)
  return reply
end

-- Each record of a string: content type, fragment, the whole.
local function records(bytes)
  local at = 1
  return function()
    if at > #bytes then return nil end
    local kind, _, fragment, after = string.unpack(">BI2s2", bytes, at)
    local whole = bytes:sub(at, after - 1)
    at = after
    return kind, fragment, whole
  end
end

-- The second handshake. o.server: its context; o.says: the renegotiated_connection of its ServerHello (as it should be); o.strip: no renegotiation_info;
-- o.change: a hook on its ServerHello; o.session: a resumption that the client offers. Returns the client's handshake, its failure, and what renegotiation_info it sent.
local function again(known, o)
  o = o or {}
  local hc = assert(known.context:renegotiate(known.session, { session = o.session }))
  local hs = (o.server or server()):handshake()
  local said
  hs:on("receive", "client_hello", function(m, ev)
    local e = mutate.extension(m, "renegotiation_info")
    said = e and e.data.renegotiated_connection
    mutate.with(m, "renegotiation_info", { renegotiated_connection = "" }) -- the server believes that it is the first
    ev.transcript = { bytes = ev.raw } -- what the client sent
  end)
  hs:on("send", "server_hello", function(m)
    mutate.without(m, "renegotiation_info")
    if not o.strip then
      table.insert(m.extensions, { type = "renegotiation_info",
        data = { renegotiated_connection = o.says or known.client_finished .. known.server_finished } })
    end
    if o.change then o.change(m) end
  end)
  local client_new, server_new, failure = false, false, nil
  local bytes = assert(hc:start())
  hs:start()
  while bytes and #bytes > 0 and not (hc.done and hs.done) do
    local to_server = {}
    for kind, _, whole in records(bytes) do
      if client_new then
        to_server[#to_server + 1] = whole
      else
        local fragment = assert(known.open:open(whole))
        to_server[#to_server + 1] = mutate.record(kind, fragment)
        client_new = kind == 20
      end
    end
    local out, message, why = hs:step(table.concat(to_server))
    if not out and why.origin == "local" then error(message) end
    local to_client = {}
    if o.before then
      to_client[1] = o.before(known)
      o.before = nil
    end
    for kind, fragment, whole in records(out or "") do
      to_client[#to_client + 1] = server_new and whole or known.seal:seal(kind, fragment)
      if kind == 20 then server_new = true end
    end
    if #to_client == 0 then break end
    bytes, message, failure = hc:step(table.concat(to_client))
    assert((bytes == nil) == (message ~= nil))
  end
  return hc, failure, said, hs
end

describe("renegotiation", function()
  it("is not answered by TLS 1.3 (RFC 8446 §4.1.3)", function()
    for _, versions in ipairs { { "1.2" }, { "1.2", "1.3" } } do
      local known = connect { client = { versions = versions, suites = { suite, "TLS_AES_128_GCM_SHA256" } } }
      ask(known)
      local _, failure = again(known, { change = function(m)
        m.cipher_suite = "TLS_AES_128_GCM_SHA256"
        m.extensions = { { type = "supported_versions", data = { selected_version = "TLS 1.3" } },
          { type = "key_share", data = { group = "x25519", key_exchange = ("\9"):rep(32) } } }
      end })
      assert.equal("local", failure.origin, failure.message)
      assert.equal("protocol_version", failure.alert, failure.message)
    end
  end)

  it("is wanted when a HelloRequest has come, and not before", function()
    local known = connect()
    assert.is_false(known.session.renegotiation_wanted)
    assert.equal("", ask(known))
    assert.is_true(known.session.renegotiation_wanted)
    -- it may be left alone
    assert.is_truthy(known.session:open(known.seal:seal(23, "data")))
    assert.is_truthy(known.session:seal "data")
  end)

  it("may be asked for in one record with Finished (RFC 5246 §6.2.1)", function()
    local function finish(behind, kind)
      local hc, hs = client({ renegotiation = kind }):handshake { server_name = "localhost" }, server():handshake()
      hs:on("plain_out", "handshake", function(bytes) return bytes:byte() == 20 and bytes .. behind or nil end)
      local one, two = pump.run(hc, hs)
      return one.session, two.session
    end
    local request = mutate.message("hello_request", "")
    local one, two = finish(request, true)
    assert.equal("", (one:open ""))
    assert.is_true(one.renegotiation_wanted)
    assert.equal("data", (one:open(two:seal "data")))
    one, two = finish(request .. request, false)
    local plain, reply = one:open(two:seal "data") -- without asking first
    assert.equal("data", plain)
    assert.equal("", (two:open(reply)))
    one = finish(request, "fatal")
    assert.is_nil((one:open ""))
    assert.equal("no_renegotiation", one.failure.code)
    one, two = finish(request:sub(1, 3), true)
    assert.equal("", (one:open ""))
    assert.is_nil((one:open(two:seal "data")))
    assert.equal("excess_handshake_data", one.failure.code)
  end)

  it("is refused with a warning by a context that does not do it, and cannot be had", function()
    local known = connect { client = { renegotiation = false } }
    local reply = ask(known)
    local plain, kind = known.open:open(reply)
    assert.equal("\1\100", plain) -- warning, no_renegotiation
    assert.equal(21, kind)
    assert.is_false(known.session.renegotiation_wanted)
    local hs, _, failure = known.context:renegotiate(known.session)
    assert.is_nil(hs)
    assert.equal("not_ready", failure.code)
    assert.is_truthy(known.session:seal "it goes on")
  end)

  it("is refused for good where that was said", function()
    local known = connect { client = { renegotiation = "fatal" } }
    local plain, _, failure = known.session:open(known.seal:seal(22, mutate.message("hello_request", "")))
    assert.is_nil(plain)
    assert.equal("no_renegotiation", failure.code)
    assert.equal("\2\100", (known.open:open(known.session:pending())))
  end)

  it("is never had without RFC 5746, whatever the context says (CVE-2009-3555)", function()
    local known = connect { strip = true }
    assert.is_false(known.session.secure_renegotiation)
    assert.equal("\1\100", (known.open:open(ask(known))))
    assert.is_false(known.session.renegotiation_wanted)
    local hs, _, failure = known.context:renegotiate(known.session)
    assert.is_nil(hs)
    assert.equal("no_renegotiation", failure.code)
  end)

  it("is not had by a server, in TLS 1.3, or after the end", function()
    local known = connect()
    assert.has_error(function() known.context:renegotiate(known.server) end)
    local c = akushu.client { trust = certs.ecdsa().trust, renegotiation = true }
    local one = pump.run(c:handshake { server_name = "localhost" }, akushu.server({ identity = certs.ecdsa().identity }):handshake())
    local hs, _, failure = c:renegotiate(one.session)
    assert.is_nil(hs)
    assert.equal("not_ready", failure.code)
    known.session:close()
    hs, _, failure = known.context:renegotiate(known.session)
    assert.is_nil(hs)
    assert.equal("closed", failure.code)
    assert.has_error(function() known.context:renegotiate(known.session, { nonsense = 1 }) end, "renegotiate: unknown option 'nonsense'")
  end)

  it("is a new handshake under the old keys, bound to the one before (RFC 5746 §3.5)", function()
    local known = connect()
    ask(known)
    local hc, failure, said, hs = again(known)
    assert.is_nil(failure)
    assert.is_true(hc.done)
    assert.is_true(hs.done)
    assert.equal(known.client_finished, said)
    local one, two = assert(hc:session()), assert(hs:session())
    assert.equal(one.client_random, two.client_random)
    assert.is_true(one.secure_renegotiation)
    assert.equal("localhost", one.server_name)
    assert.equal("over", (two:open(one:seal "over")))
    assert.equal("and out", (one:open(two:seal "and out")))
    assert.equal(one:export("EXPERIMENTAL label", nil, 20), two:export("EXPERIMENTAL label", nil, 20))
    -- the session before is over
    local bytes, _, why = known.session:seal "x"
    assert.is_nil(bytes)
    assert.is_string(why.code)
  end)

  it("lets data pass that the server sends in between", function()
    local known = connect()
    ask(known)
    local hc, failure = again(known, { before = function(k) return k.seal:seal(23, "in between") end })
    assert.is_nil(failure)
    assert.is_true(hc.done)
    assert.equal("in between", hc:take_application_data())
    assert.equal("", hc:take_application_data())
  end)

  it("keeps at most 1 MiB of it until somebody takes it", function()
    local known = connect()
    ask(known)
    local hc = assert(known.context:renegotiate(known.session))
    assert(hc:start())
    local record, mib = ("x"):rep(16384), 1048576
    local function send(n)
      local sealed = {}
      for i = 1, n // #record do sealed[i] = known.seal:seal(23, record) end
      return hc:step(table.concat(sealed))
    end
    for _ = 1, 3 do -- who takes it goes on for ever
      assert.equal("", send(mib))
      assert.equal(mib, #hc:take_application_data())
    end
    assert.equal("", send(mib))
    local out, _, failure = hc:step(known.seal:seal(23, "y"))
    assert.is_nil(out)
    assert.equal("too_much_application_data", failure.code)
    assert.equal("unexpected_message", failure.alert)
    assert.equal(mib, #hc:take_application_data())
  end)

  describe("ends with a failure when the server", function()
    local function ends(name, o, code, alert, contexts)
      it(name, function()
        local known = connect(contexts and contexts())
        ask(known)
        local settled = {}
        for k, v in pairs(o) do settled[k] = v end
        if type(o.says) == "function" then settled.says = o.says(known) end
        if type(o.server) == "function" then settled.server = o.server() end
        local hc, failure = again(known, settled)
        assert.is_false(hc.done)
        assert.equal(code, failure and failure.code)
        assert.equal(alert, failure.alert)
        assert.equal("local", failure.origin)
        -- under the keys of the moment: nobody reads the alert but the peer
        assert.equal(2, #assert(known.open:open(hc:pending())))
      end)
    end

    ends("leaves renegotiation_info out", { strip = true }, "renegotiation_mismatch", "handshake_failure")
    ends("sends an empty one", { says = "" }, "renegotiation_mismatch", "handshake_failure")
    ends("sends its half alone", { says = function(k) return k.server_finished end }, "renegotiation_mismatch", "handshake_failure")
    ends("sends the client's half alone", { says = function(k) return k.client_finished end }, "renegotiation_mismatch", "handshake_failure")
    ends("sends the halves in the wrong order", { says = function(k) return k.server_finished .. k.client_finished end },
      "renegotiation_mismatch", "handshake_failure")
    ends("sends one that is wrong in its last bit",
      { says = function(k) return mutate.flip(k.client_finished .. k.server_finished, 24) end }, "renegotiation_mismatch", "handshake_failure")
    ends("shows another certificate (Triple Handshake)", { server = function()
      return server { identity = certs.leaf("ec:secp384r1").identity }
    end }, "certificate_changed", "illegal_parameter")
    ends("gives up extended_master_secret (RFC 7627 §5.4)", { server = function() return server { extended_master_secret = false } end },
      "ems_changed", "illegal_parameter")
  end)

  it("takes another certificate only where that was said", function()
    local known = connect { client = { renegotiation_new_certificate = true } }
    ask(known)
    local other = certs.leaf("ec:secp384r1").identity
    local hc, failure = again(known, { server = server { identity = other } })
    assert.is_nil(failure)
    assert.equal(other.chain[1], hc.peer[1])
    assert.equal("ok", hc.report.verdict)
  end)

  it("judges that other certificate as it would any", function()
    local known = connect { client = { renegotiation_new_certificate = true } }
    ask(known)
    local _, failure = again(known, { server = server { identity = certs.ecdsa("wrong_host").identity } })
    assert.equal("host_mismatch", failure.code)
  end)

  it("keeps the protocol of ALPN without asking again", function()
    local known = connect { client = { alpn = { "h2" } }, server = server { alpn = { "h2" } } }
    ask(known)
    local offered
    local hc, failure, _, hs = again(known, { server = server { alpn = { "h2" } }, change = function(m)
      offered = mutate.extension(m, "application_layer_protocol_negotiation")
    end })
    assert.is_nil(failure)
    assert.is_nil(offered)
    assert.equal("h2", hc.alpn)
    assert.is_nil(hs.alpn)
  end)

  it("may be had again and again", function()
    local known = connect()
    for _ = 1, 3 do
      ask(known)
      local finished = {}
      local block
      local srv = server { hooks = { { "send", "finished", function(m) finished.server = m.verify_data end },
        { "receive", "finished", function(m) finished.client = m.verify_data end } } }
      local hc, failure, _, hs = again(known, { server = srv })
      assert.is_nil(failure)
      block = hs:secret("key_block"):reveal()
      known.session = assert(hc:session())
      known.client_finished, known.server_finished = finished.client, finished.server
      known.open = core.record.protect(suite, V12, { key = block:sub(1, 16), iv = block:sub(33, 36), open = true, seq = 1 })
      known.seal = core.record.protect(suite, V12, { key = block:sub(17, 32), iv = block:sub(37, 40), seq = 1 })
    end
    assert.equal("still here", (known.session:open(known.seal:seal(23, "still here"))))
  end)
end)

describe("a renegotiation that resumes", function()
  for _, kind in ipairs { "id", "ticket" } do
    local function contexts(o)
      o = o or {}
      o.tickets = kind == "ticket"
      return server(o)
    end

    local function client_options(o)
      local all = { tickets = kind == "ticket" }
      for k, v in pairs(o or {}) do all[k] = v end
      return all
    end

    it("is bound to the handshake before it, and keeps what the session has: by " .. kind, function()
      local srv = contexts()
      local known = connect { client = client_options(), server = srv }
      local resumption = assert(known.session:resumption())
      ask(known)
      local hc, failure, said, hs = again(known, { server = srv, session = resumption })
      assert.is_nil(failure)
      assert.is_true(hc.done and hs.done)
      assert.is_true(hc.resumed and hs.resumed)
      assert.equal(known.client_finished, said)
      local one, two = assert(hc:session()), assert(hs:session())
      assert.is_true(one.secure_renegotiation)
      assert.equal(known.server.peer, two.peer)
      assert.equal("localhost", one.peer[1].dns_names[1])
      assert.equal("over", (two:open(one:seal "over")))
      assert.equal("and out", (one:open(two:seal "and out")))
    end)

    it("is a full one where the server does not know the session: by " .. kind, function()
      local known = connect { client = client_options(), server = contexts() }
      local resumption = assert(known.session:resumption())
      ask(known)
      local hc, failure = again(known, { server = contexts(), session = resumption })
      assert.is_nil(failure)
      assert.is_true(hc.done)
      assert.is_false(hc.resumed)
    end)

    it("ends where renegotiation_info is wrong or missing (RFC 5746 §3.5): by " .. kind, function()
      for _, o in ipairs { { strip = true }, { says = ("x"):rep(24) }, { says = "" } } do
        local srv = contexts()
        local known = connect { client = client_options(), server = srv }
        local resumption = assert(known.session:resumption())
        ask(known)
        o.server, o.session = srv, resumption
        local hc, failure = again(known, o)
        assert.is_false(hc.done)
        assert.equal("renegotiation_mismatch", failure and failure.code)
        assert.equal("handshake_failure", failure.alert)
      end
    end)

    it("ends where the session is of another certificate than the connection (Triple Handshake): by " .. kind, function()
      local other = certs.leaf "ec:secp384r1"
      local trust = akushu.trust { file = certs.ecdsa().ca }
      assert(trust:add(peers.read_file(other.ca)))
      local second = contexts { identity = other.identity }
      local c = client_options { trust = trust }
      local known = connect { client = c, server = contexts() }
      local theirs = assert(pump.run(known.context:handshake { server_name = "localhost" }, second:handshake()).session:resumption())
      ask(known)
      local hc, failure = again(known, { server = second, session = theirs })
      assert.is_false(hc.done)
      assert.equal("certificate_changed", failure and failure.code)
      assert.equal("illegal_parameter", failure.alert)

      c.renegotiation_new_certificate = true
      known = connect { client = c, server = contexts() }
      theirs = assert(pump.run(known.context:handshake { server_name = "localhost" }, second:handshake()).session:resumption())
      ask(known)
      hc, failure = again(known, { server = second, session = theirs })
      assert.is_nil(failure)
      assert.is_true(hc.resumed)
      assert.equal(other.identity.chain[1], hc.peer[1])
    end)

    it("ends where extended_master_secret changes (RFC 7627 §5.3): by " .. kind, function()
      local srv = contexts()
      local known = connect { client = client_options(), server = srv }
      local resumption = assert(known.session:resumption())
      ask(known)
      local hc, failure = again(known, { server = srv, session = resumption, change = function(m) mutate.without(m, "extended_master_secret") end })
      assert.is_false(hc.done)
      assert.equal("ems_changed", failure and failure.code)
    end)

    it("keeps the protocol of ALPN: by " .. kind, function()
      local srv = contexts { alpn = { "h2" } }
      local known = connect { client = client_options { alpn = { "h2" } }, server = srv }
      local resumption = assert(known.session:resumption())
      ask(known)
      local hc, failure = again(known, { server = srv, session = resumption })
      assert.is_nil(failure)
      assert.is_true(hc.resumed)
      assert.equal("h2", hc.alpn)
      -- a server that answers what was not asked is refused
      known = connect { client = client_options { alpn = { "h2" } }, server = srv }
      ask(known)
      hc, failure = again(known, { server = srv, change = function(m)
        mutate.with(m, "application_layer_protocol_negotiation", { protocol_name_list = { "http/1.1" } })
      end })
      assert.is_false(hc.done)
      assert.equal("unsolicited_extension", failure and failure.code)
    end)

    it("shows the client's certificate in the handshake that makes the session, and keeps it: by " .. kind, function()
      local mine = certs.leaf("ecdsa", "client")
      local srv = contexts { trust = mine.trust, client_auth = "require" }
      local c = client_options { identity = mine.identity }
      local known = connect { client = c, server = contexts() } -- nobody has asked
      assert.is_nil(known.server.peer)
      ask(known)
      local hc, failure, _, hs = again(known, { server = srv })
      assert.is_nil(failure)
      assert.equal(mine.identity.chain[1], hs.peer[1])
      assert.is_false(hc.resumed)
      known = connect { client = c, server = srv }
      local resumption = assert(known.session:resumption())
      ask(known)
      hc, failure, _, hs = again(known, { server = srv, session = resumption })
      assert.is_nil(failure)
      assert.is_true(hc.resumed)
      assert.equal(mine.identity.chain[1], hs.peer[1])
    end)
  end

  it("takes nothing but a resumption", function()
    local known = connect()
    assert.error_matches(function() known.context:renegotiate(known.session, { session = known.server }) end, "option 'session'")
    assert.is_truthy(known.session:seal "it goes on")
  end)
end)
