-- TLS 1.3: how long things live: secrets while the handshake does, tickets, keys; and what floods do.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local mutate = require "spec.support.mutate"
local pump = require "spec.support.pump"
local merge = require "spec.support.merge"
local testca = require "akushu.testca"

local leaf = certs.ecdsa()
local now

local function contexts(client, server)
  local function clock() return now end
  return akushu.client(merge({ trust = leaf.trust, versions = "1.3", clock = clock }, client)),
    akushu.server(merge({ identity = leaf.identity, versions = "1.3", clock = clock }, server))
end

local function meet(c, s, session, hooks)
  local a, b = pump.run(c:handshake { server_name = "localhost", session = session, hooks = hooks }, s:handshake())
  assert(a.session and b.session, a.message or b.message)
  return a, b
end

before_each(function() now = os.time() end)

describe("secrets of the key schedule (§7.1)", function()
  local labels = { early = "", client_early_traffic = "c e traffic", early_exporter = "e exp master", handshake = "derived",
    client_handshake_traffic = "c hs traffic", server_handshake_traffic = "s hs traffic", master = "derived",
    client_application_traffic = "c ap traffic", server_application_traffic = "s ap traffic", exporter = "exp master", resumption = "res master" }

  -- Which secrets there are when each message has been composed or has come: gate .. message → names.
  local function watch(hs, seen, origins)
    for _, gate in ipairs { "send", "receive" } do
      hs:on(gate, "*", function(_, ev)
        local there = {}
        for name in pairs(labels) do
          if hs:secret(name) then
            there[name] = true
            origins[name] = { hs:secret_origin(name) }
          end
        end
        seen[gate .. " " .. ev.name] = there
      end)
    end
  end

  it("are there from when they are derived until they are of no use, with label and transcript hash", function()
    local c, s = contexts(nil, { early_data = 100 })
    local a = meet(c, s)
    local hc, hs = c:handshake { server_name = "localhost", session = a.session:resumption() }, s:handshake()
    local at_client, at_server, origins_c, origins_s = {}, {}, {}, {}
    watch(hc, at_client, origins_c)
    watch(hs, at_server, origins_s)
    assert(hc:send_early "early")
    local x, y = pump.run(hc, hs)
    assert(x.session and y.session, x.message or y.message)
    for _, origins in ipairs { origins_c, origins_s } do
      for name, o in pairs(origins) do
        assert.equal(labels[name], o[1], name)
        if name ~= "early" and name ~= "handshake" and name ~= "master" then assert.equal(32, #o[2], name) end
      end
    end
    -- what both saw under one name has one transcript hash
    for _, name in ipairs { "client_handshake_traffic", "server_handshake_traffic", "client_application_traffic", "exporter" } do
      assert.equal(origins_c[name] and origins_c[name][2], origins_s[name] and origins_s[name][2], name)
      assert.is_truthy(origins_s[name] or origins_c[name], name)
    end
    -- each stage's are gone when the next has begun
    local stage = at_client["receive encrypted_extensions"]
    assert.is_true(stage.handshake and stage.client_handshake_traffic and stage.server_handshake_traffic)
    assert.is_nil(stage.early)
    stage = at_client["send finished"]
    assert.is_true(stage.master and stage.client_application_traffic and stage.exporter)
    assert.is_nil(stage.handshake)
    assert.is_nil(stage.client_early_traffic)
    stage = at_server["send new_session_ticket"]
    assert.is_true(stage.resumption)
    for _, name in ipairs { "early", "handshake", "master", "client_handshake_traffic", "server_handshake_traffic", "client_early_traffic" } do
      assert.is_nil(stage[name], name)
    end
    -- and all of them when the session has begun
    for _, one in ipairs { hc, hs } do
      for name in pairs(labels) do assert.is_nil(one:secret(name), name) end
      for _, name in ipairs { "premaster", "binder", "key_block" } do assert.is_nil(one:secret(name), name) end
      assert.is_nil((one:secret_origin "exporter"))
    end
  end)

  it("that are left when the handshake is done still tell where they came from, until the session begins", function()
    local c, s = contexts()
    local hc, hs = c:handshake { server_name = "localhost" }, s:handshake()
    local master
    hc:on("send", "finished", function() master = hc:secret("master_secret"):reveal() end)
    assert(hc:step(assert(hs:step(assert(hc:start())))))
    assert.is_true(hc.done)
    local origin, hash = hc:secret_origin "client_application_traffic"
    assert.equal("c ap traffic", origin)
    assert.equal(hc:secret("client_application_traffic"):reveal(), akushu.crypto.derive_secret("sha256", master, origin, hash))
    assert.equal("derived", (hc:secret_origin "master_secret"))
    for _, name in ipairs { "server_application_traffic", "exporter", "resumption" } do
      assert.is_truthy(hc:secret(name), name)
      assert.equal(labels[name], (hc:secret_origin(name)), name)
    end
    assert(hc:session())
    assert.is_nil((hc:secret_origin "client_application_traffic"))
  end)
end)

describe("tickets", function()
  local function ticket_messages(server)
    local out = {}
    local c, s = contexts(nil, merge({ hooks = { { "send", "new_session_ticket", function(m) out[#out + 1] = m end } } }, server))
    local a = meet(c, s)
    return out, a, c, s
  end

  it("of one connection have nonces, ages and keys of their own (§4.6.1)", function()
    local list, a = ticket_messages { tickets = 4 }
    local nonces, adds, different, sessions = {}, {}, 0, {}
    assert.equal(4, #list)
    for _, m in ipairs(list) do
      assert.is_nil(nonces[m.ticket_nonce])
      if not adds[m.ticket_age_add] then different = different + 1 end
      nonces[m.ticket_nonce], adds[m.ticket_age_add] = true, true
    end
    assert.is_true(different >= 3, different) -- 32 random bits: two of the four may be alike, once in some hundred million runs
    for _ = 1, 4 do
      local bytes = assert(a.session:resumption()):serialize()
      assert.is_nil(sessions[bytes])
      sessions[bytes] = true
    end
    assert.is_nil((a.session:resumption()))
  end)

  it("live seven days at most, whatever a server says (§4.6.1)", function()
    for _, lifetime in ipairs { 604801, 0xffffffff } do
      local c, s = contexts({ session_lifetime = 604800 }, { hooks = { { "send", "new_session_ticket", function(m) m.ticket_lifetime = lifetime end } } })
      local a = meet(c, s)
      assert.equal(now + 604800, a.session:resumption().expires)
    end
    local list = ticket_messages { session_lifetime = 604800 }
    assert.equal(604800, list[1].ticket_lifetime)
    list = ticket_messages { session_lifetime = 60 }
    assert.equal(60, list[1].ticket_lifetime)
  end)

  it("of sessions that were resumed do not live longer than seven days after the full handshake", function()
    local c, s = contexts({ session_lifetime = 604800 }, { session_lifetime = 604800 })
    local start, session = now, meet(c, s).session:resumption()
    local resumed = 0
    for _ = 1, 20 do
      now = now + 86400
      local a = meet(c, s, session)
      if not a.session.resumed then break end
      resumed = resumed + 1
      session = a.session:resumption()
      if not session then break end
      assert.is_true(session.expires <= start + 604800)
    end
    assert.is_true(resumed >= 6 and resumed <= 7, resumed)
  end)

  for _, version in ipairs { "1.2", "1.3" } do
    it("end with the certificate of the peer that was verified, on both sides: TLS " .. version, function()
      local ca = testca.new()
      local server_id = ca:issue { names = { "localhost" }, not_after = now + 60 }
      local client_id = ca:issue { name = "client", purpose = "client", not_after = now + 30 }
      local c, s = contexts({ trust = ca:trust(), identity = client_id.identity, versions = version },
        { identity = server_id.identity, trust = ca:trust(), client_auth = "request", versions = version })
      local function again(session) return pump.run(c:handshake { server_name = "localhost", session = session }, s:handshake()) end
      local session = meet(c, s).session:resumption()
      assert.equal(now + 31, session.expires) -- as the server's ticket says
      now = now + 30
      assert.is_true(again(session).session.resumed)
      c = contexts({ trust = ca:trust(), versions = version })
      session = meet(c, s).session:resumption()
      assert.equal(now + 31, session.expires)
      now = now + 30
      assert.is_true(again(session).session.resumed)
      now = now + 1
      assert.equal("certificate_expired", again(session).failure.code)
      -- somebody said that this does not matter
      c = contexts({ trust = ca:trust(), versions = version, on_untrusted = function() return "remember" end })
      session = meet(c, s).session:resumption()
      assert.equal(now + 7200, session.expires)
    end)
  end

  it("a lifetime of nothing is no ticket; a flood of them is forgotten but for the newest", function()
    local c, s = contexts(nil, { tickets = 16 })
    local a = meet(c, s)
    local kept = 0
    while a.session:resumption() do kept = kept + 1 end
    assert.equal(16, kept)
    c, s = contexts(nil, { hooks = { { "send", "new_session_ticket", function(m) m.ticket_lifetime = 0 end } } })
    a = meet(c, s)
    assert.is_nil((a.session:resumption()))
    -- thousands of messages in one connection leave as much behind as sixteen
    local flood
    c, s = contexts(nil, { tickets = 1, hooks = { { "send", "new_session_ticket", function(_, ev)
      flood = ev.raw
      for _ = 1, 2000 do ev:after(ev.raw) end
    end } } })
    local b
    a, b = meet(c, s)
    assert.is_nil(a.failure)
    assert.is_true(#flood > 50)
    kept = 0
    while a.session:resumption() do kept = kept + 1 end
    assert.equal(16, kept)
    assert.equal("data", pump.transfer(a, b, "data"))
  end)

  it("that were serialised and changed at any byte are refused, or lead to a full handshake, or to a failure", function()
    local c, s = contexts(nil, { early_data = 100 })
    local bytes = meet(c, s).session:resumption():serialize()
    assert.equal(bytes, assert(akushu.resumption(bytes)):serialize())
    local outcomes = {}
    for at = 1, #bytes do
      local r, _, failure = akushu.resumption(mutate.flip(bytes, at))
      if not r then
        assert.equal("bad_session", failure.code)
        outcomes.refused = true
      else
        local ok, hs = pcall(function() return c:handshake { server_name = "localhost", session = r } end)
        if ok and hs then
          local a, b = pump.run(hs, s:handshake())
          if a.session then
            assert.is_truthy(b.session)
            outcomes[a.session.resumed and "resumed" or "full"] = true
          else
            assert.is_truthy(a.failure or b.failure)
            outcomes.failed = true
          end
        else
          outcomes.raised = true
        end
      end
    end
    assert.is_true(outcomes.refused)
    for n = 0, #bytes - 1, 7 do assert.is_nil((akushu.resumption(bytes:sub(1, n)))) end
    assert.is_nil((akushu.resumption(bytes .. "\0")))
  end)
end)

describe("KeyUpdate (§4.6.3)", function()
  it("that asks is answered by one that does not: there is no end to a loop otherwise", function()
    local c, s = contexts()
    local a, b = meet(c, s)
    b:deliver(assert(a.session:update_keys(true)))
    pump.move(a, b)
    -- both ask at once
    local one, two = assert(a.session:update_keys(true)), assert(b.session:update_keys(true))
    b:deliver(one)
    a:deliver(two)
    for _ = 1, 3 do
      assert.equal("data", pump.transfer(a, b, "data"))
      assert.equal("data", pump.transfer(b, a, "data"))
    end
    local before = a.bytes_out + b.bytes_out
    assert.equal("data", pump.transfer(a, b, "data"))
    assert.equal(before + 5 + 4 + 17, a.bytes_out + b.bytes_out) -- and no KeyUpdate is due any more
  end)

  it("that asks many times while we are silent is answered once", function()
    local c, s = contexts()
    local a, b = meet(c, s)
    pump.move(a, b)
    local before = b.bytes_out
    for _ = 1, 20 do b:deliver(assert(a.session:update_keys(true))) end
    assert.equal("data", pump.transfer(b, a, "data"))
    assert.equal(before + 5 + 5 + 17 + 5 + 4 + 17, b.bytes_out)
    assert.equal("data", pump.transfer(a, b, "data"))
    assert.equal("data", pump.transfer(b, a, "data"))
  end)

  it("is not answered after our close_notify, and is read all the same", function()
    local c, s = contexts()
    local a, b = meet(c, s)
    a:deliver(assert(b.session:close_write()))
    local plain, reply = b.session:open(assert(a.session:update_keys(true)) .. assert(a.session:seal "still here"))
    assert.equal("still here", plain)
    assert.equal("", reply)
    assert.is_nil((b.session:update_keys()))
  end)

  it("that came together with close_notify is answered before our next data", function()
    local c, s = contexts()
    local a, b = meet(c, s)
    pump.move(a, b)
    local none, _, failure = b.session:open(assert(a.session:update_keys(true)) .. assert(a.session:close_write()))
    assert.is_nil(none)
    assert.equal("closed", failure.code)
    local sent = b.session:pending() .. assert(b.session:seal "the rest")
    assert.equal(5 + 5 + 17 + 5 + 8 + 17, #sent)
    assert.equal(5 + 4 + 17, #assert(b.session:seal "more")) -- once
    assert.equal("the rest", (a.session:open(sent)))
  end)
end)
