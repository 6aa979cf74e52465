-- A server's sessions: in memory, bounded, with a lifetime, or in a store of the application's. And what a client keeps: as an object, and as bytes.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local mutate = require "spec.support.mutate"
local peers = require "spec.support.peers"
local pump = require "spec.support.pump"

local function meet(c, s, session)
  local client, server = pump.run(c:handshake { server_name = "localhost", session = session }, s:handshake())
  assert.is_truthy(client.session, client.message)
  assert.is_truthy(server.session, server.message)
  assert.equal(client.session.resumed, server.session.resumed)
  return client.session, server.session
end

local function resumes(c, s, session)
  return meet(c, s, session).resumed
end

describe("the store in memory", function()
  it("keeps at most so many: the oldest leaves first", function()
    local c, s = mutate.contexts("rsa", nil, { sessions = 3 })
    local sessions = {}
    for i = 1, 5 do
      sessions[i] = meet(c, s):resumption()
      assert.equal(math.min(i, 3), s:stored_sessions())
    end
    local resumed = {}
    for i = 5, 3, -1 do resumed[i] = resumes(c, s, sessions[i]) end
    assert.same({ [3] = true, [4] = true, [5] = true }, resumed)
    assert.is_false(resumes(c, s, sessions[1])) -- and makes a new one, which drives out the oldest
    assert.is_false(resumes(c, s, sessions[3]))
    assert.equal(3, s:stored_sessions())
  end)

  it("keeps at most 4 KiB for each of so many, whatever chains clients show", function()
    local leaf = certs.ecdsa "client"
    local names = {}
    for i = 1, 60 do names[i] = ("%s.%s%d.example"):format(("a"):rep(60), ("b"):rep(20), i) end
    local more = require("akushu.testca").self_signed { key = "ec:secp256r1", names = names }
    local long = assert(akushu.identity { chain = peers.read_file(leaf.chain) .. more.pem_chain:rep(5), key = leaf.key })
    local function fill(identity, n)
      local c = akushu.client { trust = leaf.trust, identity = identity, versions = "1.2", tickets = false }
      local s = akushu.server { identity = certs.ecdsa().identity, trust = leaf.trust, client_auth = "require", versions = "1.2", tickets = false, sessions = n }
      local last
      for _ = 1, 2 * n do last = meet(c, s):resumption() end
      assert.is_true(resumes(c, s, last))
      return s:stored_sessions()
    end
    assert.equal(20, fill(leaf.identity, 20))
    local kept, bytes = fill(long, 20), 0
    for _, certificate in ipairs(long.chain) do bytes = bytes + #certificate.der end
    assert.is_true(bytes > 20000)
    assert.is_true(kept >= 1 and kept * bytes <= 20 * 4096, kept)
    assert.equal(1, fill(long, 1)) -- one is always kept
  end)

  it("of one session", function()
    local c, s = mutate.contexts("rsa", nil, { sessions = 1 })
    local first = meet(c, s):resumption()
    assert.is_true(resumes(c, s, first))
    local second = meet(c, s):resumption()
    assert.is_false(resumes(c, s, first))
    assert.is_false(resumes(c, s, second)) -- the one before has taken its place
    assert.equal(1, s:stored_sessions())
  end)

  it("of none, or switched off: no id is given", function()
    for _, sessions in ipairs { false, 0 } do
      local c, s = mutate.contexts("rsa", nil, { sessions = sessions })
      local session, server = meet(c, s)
      assert.is_nil(session.session_id)
      assert.is_nil(server.session_id)
      assert.is_nil(session:resumption())
      assert.equal(0, s:stored_sessions())
    end
    local c, s = mutate.contexts("rsa", nil, { session_ids = false })
    assert.is_nil(meet(c, s).session_id)
  end)

  it("keeps them for their lifetime, by the context's clock", function()
    local now = 1000000000
    local function clock() return now end
    local certs_now = { clock = clock, verify = false }
    local c, s = mutate.contexts("rsa", certs_now, { clock = clock, session_lifetime = 60 })
    local session = meet(c, s):resumption()
    assert.equal(now, session.created)
    now = now + 59
    assert.is_true(resumes(c, s, session))
    now = now + 1
    assert.is_false(resumes(c, s, session))
    assert.equal(1, s:stored_sessions()) -- the old one is gone, the new one is there
  end)

  it("resuming makes a session no younger", function()
    local now = os.time()
    local function clock() return now end
    local c, s = mutate.contexts("rsa", { clock = clock, session_lifetime = 100 }, { clock = clock, session_lifetime = 100 })
    local session = meet(c, s):resumption()
    for _ = 1, 3 do
      now = now + 30
      local again = meet(c, s, session)
      assert.is_true(again.resumed)
      local newer = again:resumption()
      assert.equal(session.created, newer.created)
      assert.equal(session.expires, newer.expires)
      session = newer
    end
    now = now + 10
    assert.is_false(resumes(c, s, session))
  end)

  it("is a context's own", function()
    local c, s = mutate.contexts("rsa", {}, {})
    local _, other = mutate.contexts("rsa", {}, {})
    local session = meet(c, s):resumption()
    assert.is_false(resumes(c, other, session))
    assert.is_true(resumes(c, s, session))
  end)

  it("forgets a session that ends with a fatal alert, and keeps one that is only cut off (RFC 5246 §7.2.2)", function()
    local function after(finish)
      local c, s = mutate.contexts("rsa", {}, {})
      local client, server = meet(c, s)
      local session = client:resumption()
      finish(client, server)
      return resumes(c, s, session)
    end
    assert.is_true(after(function() end))
    assert.is_true(after(function(client, server) server:open(client:close()) end))
    assert.is_true(after(function(_, server) server:eof() end))
    assert.is_false(after(function(_, server) server:open("\23\3\3\0\40" .. ("x"):rep(40)) end))
    assert.is_false(after(function(client, server) server:open(client:alert "internal_error") end))
    assert.is_false(after(function(_, server) server:alert "access_denied" end))
  end)
end)

describe("a store of the application's", function()
  local function store()
    local kept, log = {}, {}
    return {
      get = function(id) log[#log + 1] = { "get", id } return kept[id] end,
      put = function(id, bytes) log[#log + 1] = { "put", id } kept[id] = bytes end,
      remove = function(id) log[#log + 1] = { "remove", id } kept[id] = nil end,
    }, kept, log
  end

  it("is asked for what it needs, by id", function()
    local sessions, kept, log = store()
    local c, s = mutate.contexts("rsa", nil, { sessions = sessions })
    local first = meet(c, s)
    assert.same({ { "put", first.session_id } }, log)
    assert.equal(32, #first.session_id)
    assert.is_string(kept[first.session_id])
    assert.equal(0, s:stored_sessions())
    local again = meet(c, s, first:resumption())
    assert.is_true(again.resumed)
    assert.equal(first.session_id, again.session_id)
    assert.same({ { "put", first.session_id }, { "get", first.session_id } }, log)
  end)

  it("may serve several contexts", function()
    local sessions = store()
    local c, one = mutate.contexts("rsa", nil, { sessions = sessions })
    local _, two = mutate.contexts("rsa", nil, { sessions = sessions })
    assert.is_true(resumes(c, two, meet(c, one):resumption()))
  end)

  it("is not asked when the client offers nothing", function()
    local sessions, _, log = store()
    local c, s = mutate.contexts("rsa", { session_ids = false }, { sessions = sessions })
    local session = mutate.session("rsa")
    meet(c, s, session)
    for _, entry in ipairs(log) do assert.not_equal("get", entry[1]) end
  end)

  it("that forgets is followed by a full handshake", function()
    local sessions, kept = store()
    local c, s = mutate.contexts("rsa", nil, { sessions = sessions })
    local session = meet(c, s)
    kept[session.session_id] = nil
    assert.is_false(resumes(c, s, session:resumption()))
  end)

  it("that gives something else than a string, or raises, fails the handshake", function()
    for _, get in ipairs { function() return 42 end, function() return {} end, function() error "down" end } do
      local sessions = store()
      local c, s = mutate.contexts("rsa", nil, { sessions = sessions })
      local session = meet(c, s):resumption()
      sessions.get = get
      local client, server = pump.run(c:handshake { server_name = "localhost", session = session }, s:handshake())
      assert.equal("hook_failed", server.failure.code)
      assert.equal("internal_error", client.failure.alert)
    end
    local sessions = store()
    sessions.put = function() error "full" end
    local c, s = mutate.contexts("rsa", nil, { sessions = sessions })
    local client, server = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
    assert.equal("hook_failed", server.failure.code)
    assert.is_nil(client.session)
  end)

  it("is told to remove what ends with a fatal alert, in the handshake and after it", function()
    local sessions, kept, log = store()
    local c, s = mutate.contexts("rsa", nil, { sessions = sessions })
    local client, server = meet(c, s)
    assert.is_truthy(kept[client.session_id])
    local plain, _, failure = server:open("\23\3\3\0\40" .. ("x"):rep(40))
    assert.is_nil(plain)
    assert.equal("bad_record_mac", failure.code)
    assert.same({ "remove", client.session_id }, log[#log])
    assert.is_nil(kept[client.session_id])
    local n = #log
    server:open "x"
    assert.equal(n, #log) -- once
    -- a client that does not like the server's Finished
    local hs = s:handshake()
    hs:on("send", "finished", function(m) m.verify_data = ("\0"):rep(12) end)
    local a = pump.run(c:handshake { server_name = "localhost" }, hs)
    assert.equal("bad_finished", a.failure.code)
    assert.equal("remove", log[#log][1])
    assert.is_nil(next(kept))
  end)

  it("may take its time, also when it removes", function()
    local sessions = store()
    local removed
    sessions.remove = function(id) coroutine.yield "removing" removed = id end
    local c, s = mutate.contexts("rsa", nil, { sessions = sessions })
    local client, server = meet(c, s)
    local co = coroutine.create(function() return server:open(client:alert "internal_error") end)
    local _, where = coroutine.resume(co)
    assert.equal("removing", where)
    local _, plain, _, failure = coroutine.resume(co)
    assert.is_nil(plain)
    assert.equal("peer_alert", failure.code)
    assert.equal(client.session_id, removed)
  end)
end)

-- ---- what a client keeps -----------------------------------------------------------------------------------------------------------

describe("a session that can be resumed", function()
  it("says what it is, and not its secret", function()
    local master
    local now = os.time()
    local hc, hs = mutate.handshakes("ecdhe", { clock = now }, { clock = now })
    hc:on("send", "finished", function() master = hc:secret("master"):reveal() end)
    local c = pump.run(hc, hs)
    local r = c.session:resumption()
    assert.equal("session_id", r.kind)
    assert.equal("1.2", r.version)
    assert.equal(c.session.suite, r.suite)
    assert.equal("localhost", r.server_name)
    assert.equal(c.session.session_id, r.session_id)
    assert.is_true(r.extended_master_secret)
    assert.same({ now, now + 7200 }, { r.created, r.expires })
    assert.equal("akushu.Resumption (localhost, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)", tostring(r))
    assert.is_nil(tostring(r):find(master, 1, true))
    assert.is_truthy(r:serialize():find(master, 1, true)) -- which is why it says that it must be kept like a key
    assert.equal("akushu.Resumption", getmetatable(r).__name)
    assert.is_nil(r.secret)
  end)

  it("goes through bytes and is the same", function()
    for _, setup in ipairs { "rsa", "ecdhe", "client_auth", "etm" } do
      local session, c, s = mutate.session(setup, {}, {})
      local bytes = session:serialize()
      assert.equal(bytes, session:serialize())
      local back = assert(akushu.resumption(bytes))
      assert.equal(bytes, back:serialize())
      for _, name in ipairs { "version", "suite", "server_name", "expires", "created", "kind",
        "session_id" } do assert.equal(session[name], back[name]) end
      local client, server = meet(c, s, back)
      assert.is_true(client.resumed)
      assert.equal(#client.peer > 0, true)
      assert.equal(setup == "client_auth", server.peer ~= nil)
    end
  end)

  it("is refused when a byte is missing or too much", function()
    local bytes = mutate.session("client_auth"):serialize()
    for n = 0, #bytes - 1 do
      local r, message, failure = akushu.resumption(bytes:sub(1, n))
      assert.is_nil(r, n)
      assert.is_string(message)
      assert.equal("bad_session", failure.code)
    end
    assert.is_nil((akushu.resumption(bytes .. "\0")))
    assert.is_nil((akushu.resumption(bytes .. bytes)))
    assert.is_nil((akushu.resumption "garbage"))
  end)

  it("with any byte changed is refused, or does no harm", function()
    local session, c, s = mutate.session("ecdhe", {}, {})
    local bytes = session:serialize()
    local refused, full, resumed, failed = 0, 0, 0, 0
    for at = 1, #bytes do
      local r = akushu.resumption(mutate.flip(bytes, at, 1 << at % 8))
      if not r then
        refused = refused + 1
      else
        tostring(r)
        assert.is_truthy(r:serialize())
        local client, server = pump.run(c:handshake { server_name = "localhost", session = r }, s:handshake())
        if not client.session then
          failed = failed + 1 -- another secret: seen at Finished
          assert.is_truthy(client.failure)
          assert.is_nil(server.session)
        elseif client.session.resumed then
          resumed = resumed + 1
        else
          full = full + 1
        end
        -- what failed has been removed
        if not client.session then
          session, c, s = mutate.session("ecdhe", {}, {})
          bytes = session:serialize()
        end
      end
    end
    assert.is_true(refused > 50)
    assert.is_true(failed >= 48)
    assert.is_true(full > 20)
    assert.is_true(resumed > 0)
  end)

  it("is for a client, and of a client", function()
    local session, c, s = mutate.session("rsa", {}, {})
    assert.has_error(function() s:handshake { session = session } end)
    local sessions, kept = {}, nil
    sessions.get, sessions.remove = function() end, function() end
    sessions.put = function(_, bytes) kept = bytes end
    local _, server = mutate.contexts("rsa", nil, { sessions = sessions })
    meet(c, server)
    local of_server = assert(akushu.resumption(kept))
    assert.is_false(resumes(c, s, of_server)) -- a server's is not offered
  end)

  it("is not offered in another version, with another suite, for another name", function()
    local session = mutate.session("cbc", {}, {})
    local function offered(client, name)
      local c = mutate.contexts("cbc", client)
      local hs = c:handshake { server_name = name or "localhost", session = session }
      local id
      hs:on("send", "client_hello", function(m) id = m.session_id end)
      hs:start()
      return id ~= ""
    end
    assert.is_true(offered {})
    assert.is_false(offered { versions = "1.1" })
    assert.is_false(offered { suites = { "TLS_RSA_WITH_AES_256_CBC_SHA" } })
    assert.is_false(offered({}, "example.com"))
    assert.is_false(offered { session_ids = false })
    assert.is_false(offered { clock = os.time() + 100000 })
  end)

  it("is not offered where it cannot be said: a ticket's without tickets, one with an id without ids", function()
    for _, case in ipairs { { "1.2", true, true }, { "1.2", false, true }, { "1.2", false, false }, { "1.3", false, true } } do
      local version, tickets, ids = table.unpack(case)
      local by_ticket = version == "1.3" or ids
      local session = mutate.session(version == "1.3" and "tls13" or "ecdhe", { tickets = by_ticket }, { tickets = by_ticket })
      local c = akushu.client { trust = certs.ecdsa().trust, versions = { "1.2", "1.3" }, tickets = tickets, session_ids = ids,
        suites = { "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256" } }
      local hc = c:handshake { server_name = "localhost", session = session }
      local id, ticket, psk
      hc:on("send", "client_hello", function(m)
        local x = mutate.extension(m, "session_ticket")
        id, ticket, psk = m.session_id, x and (x.raw or x.data) ~= "" or false, mutate.extension(m, "pre_shared_key") ~= nil
      end)
      local hs = akushu.server { identity = certs.ecdsa().identity, versions = "1.2" }:handshake()
      hs:on("send", "server_hello", function(m) m.session_id = id end) -- as if it were the session's
      local one = pump.run(hc, hs)
      assert.equal(tickets, ticket)
      assert.is_false(psk)
      assert.equal(32, #id)
      if not tickets then mutate.failed_with(one, "session_id_mismatch", "illegal_parameter") end
    end
  end)

  it("is closed, and cannot be used after it", function()
    local session, c = mutate.session("rsa", {}, {})
    session:close()
    assert.equal("akushu.Resumption (closed)", tostring(session))
    assert.has_error(function() session:serialize() end)
    local ok, message = pcall(c.handshake, c, { server_name = "localhost", session = session })
    assert.is_false(ok)
    assert.is_truthy(message:find("'session'", 1, true), message)
    do
      local other <close> = mutate.session "rsa"
      assert.is_truthy(other)
    end
  end)

  it("is not there for a client that wants neither ids nor tickets", function()
    for _, version in ipairs { "1.2", "1.3" } do
      local leaf = certs.ecdsa()
      local c = akushu.client { trust = leaf.trust, versions = version, tickets = false, session_ids = false }
      local session, server = meet(c, akushu.server { identity = leaf.identity, versions = version })
      assert.equal(version, session.version)
      for _, one in ipairs { session, server } do
        local kept, message, failure = one:resumption()
        assert.is_nil(kept)
        assert.is_string(message)
        assert.equal("not_ready", failure.code)
      end
    end
  end)

  it("wants bytes", function()
    for _, value in ipairs { true, 1, { 1 }, { bytes = "x" }, print } do assert.has_error(function() akushu.resumption(value) end) end
    assert.has_error(function() akushu.resumption() end)
  end)
end)
