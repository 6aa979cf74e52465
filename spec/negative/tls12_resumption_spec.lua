-- Bad input, TLS 1.2: sessions that are resumed when they must not be, or otherwise than they must (RFC 5246 §7.4.1.3, RFC 7627 §5.3). Refusing a session
-- is no failure: a full handshake follows.
local mutate = require "spec.support.mutate"
local pump = require "spec.support.pump"

-- A store of sessions that several server contexts share.
local function shared_store()
  local kept = {}
  return { get = function(id) return kept[id] end, put = function(id,
    bytes) kept[id] = bytes end, remove = function(id) kept[id] = nil end }, kept
end

-- first = { client options, server options } make a session; then = the same make the next handshake; setup; change, hooks, attack …: see mutate.
local function resumed(row)
  local store = shared_store()
  local function options(t)
    local c, s = { session_ids = true }, { sessions = store }
    for k, v in pairs(t and t[1] or {}) do c[k] = v end
    for k, v in pairs(t and t[2] or {}) do s[k] = v end
    return c, s
  end
  local session = mutate.session(row.setup or "rsa", options(row.first))
  local copy = {}
  for k, v in pairs(row) do copy[k] = v end
  copy.client, copy.server = options(row.again)
  copy.handshake = { session = session }
  for k, v in pairs(row.handshake or {}) do copy.handshake[k] = v end
  return copy, session
end

local function is_full(row)
  local attacked, other = mutate.attack((resumed(row)))
  assert.is_truthy(attacked.session, attacked.message)
  assert.is_truthy(other.session, other.message)
  assert.is_false(attacked.session.resumed)
  assert.is_false(other.session.resumed)
  assert.equal("data", pump.transfer(attacked, other, "data"))
  return attacked, other
end

local function is_resumed(row)
  local attacked, other = mutate.attack((resumed(row)))
  assert.is_truthy(attacked.session, attacked.message)
  assert.is_truthy(other.session, other.message)
  assert.is_true(attacked.session.resumed)
  assert.is_true(other.session.resumed)
  assert.equal("data", pump.transfer(attacked, other, "data"))
  return attacked, other
end

local none = { extended_master_secret = false }
local without_ems = { none, none }
local function drop_ems(m) mutate.without(m, "extended_master_secret") end

-- The id that the client offers, in a ServerHello that resumes nothing: the client takes it for a resumption.
local function echo(row)
  local id
  row.attack, row.hooks = "client", { { "server", "receive", "client_hello", function(m) id = m.session_id end } }
  local change = row.change
  row.message, row.change = "server_hello", function(m)
    m.session_id = id
    if change then change(m) end
  end
  return row
end

describe("extended_master_secret and resumption, a server (RFC 7627 §5.3)", function()
  it("session with, ClientHello with: resumed", function() is_resumed { attack = "server" } end)

  it("session with, ClientHello without: the handshake ends", function()
    mutate.expect((resumed { attack = "server", message = "client_hello", change = drop_ems, code = "ems_dropped",
      alert = "handshake_failure",
      state = "wait_client_hello" }))
  end)

  it("session without, ClientHello with: a full handshake", function()
    local attacked = is_full { attack = "server", first = without_ems }
    assert.is_true(attacked.session.extended_master_secret)
  end)

  it("session without, ClientHello without: resumed, for old clients", function()
    local attacked = is_resumed { attack = "server", first = without_ems, again = without_ems }
    assert.is_false(attacked.session.extended_master_secret)
  end)

  it("session without, ClientHello without, and the server requires it: the handshake ends", function()
    mutate.expect((resumed { attack = "server", first = without_ems, again = { none, { extended_master_secret = "require" } },
      code = "ems_required",
      alert = "handshake_failure", state = "wait_client_hello" }))
  end)

  it("session without, and the server requires it: a full handshake", function()
    is_full { attack = "server", first = without_ems, again = { nil, { extended_master_secret = "require" } } }
  end)
end)

describe("extended_master_secret and resumption, a client (RFC 7627 §5.3)", function()
  it("session with, ServerHello with: resumed", function() is_resumed { attack = "client" } end)

  it("session with, ServerHello without: the handshake ends", function()
    mutate.expect((resumed { attack = "client", message = "server_hello", change = drop_ems, code = "ems_dropped",
      alert = "handshake_failure",
      state = "wait_server_hello" }))
  end)

  it("session without, ServerHello with: the handshake ends", function()
    mutate.expect((resumed(echo { first = without_ems, code = "ems_mismatch", alert = "handshake_failure", state = "wait_server_hello" })))
  end)

  it("session without, ServerHello without: resumed, with old servers", function()
    is_resumed { attack = "client", first = without_ems, again = without_ems }
  end)

  it("a session with it is not offered by a client that does not do it", function()
    is_full { attack = "client", again = without_ems }
  end)

  it("a session without it is not offered by a client that requires it", function()
    is_full { attack = "client", first = without_ems, again = { { extended_master_secret = "require" } } }
  end)
end)

describe("a ServerHello that resumes", function()
  mutate.rows(it, {
    (resumed(echo { "with another suite", first = { { suites = { "TLS_RSA_WITH_AES_256_GCM_SHA384" } },
      { suites = { "TLS_RSA_WITH_AES_256_GCM_SHA384" } } },
      again = { { suites = { "TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_256_GCM_SHA384" } } }, code = "resumed_suite_mismatch",
      alert = "illegal_parameter", state = "wait_server_hello" })),
    (resumed(echo { "in another version", setup = "cbc", again = { { versions = { "1.1", "1.2" } }, { versions = "1.1" } },
      code = "resumed_version_mismatch",
      alert = "illegal_parameter", state = "wait_server_hello" })),
    (resumed(echo { "and goes on with a full handshake", again = { nil, { sessions = 10 } }, code = "unexpected_message", alert = "unexpected_message",
      state = "wait_change_cipher_spec" })),
    (resumed { "no: and goes on with an abbreviated handshake", attack = "client", message = "server_hello",
      change = function(m) m.session_id = ("n"):rep(32) end,
      code = "ccs_early", alert = "unexpected_message", state = "wait_certificate" }),
  })

  it("what was never offered", function()
    local id = ("i"):rep(32)
    mutate.expect { attack = "client", setup = "rsa", hooks = { { "client", "send", "client_hello", function(m) m.session_id = id end } },
      message = "server_hello", change = function(m) m.session_id = id end, code = "session_id_mismatch", alert = "illegal_parameter",
      state = "wait_server_hello" }
  end)
end)

describe("a session is not resumed, and a full handshake follows,", function()
  it("when the server does not know it", function()
    local c, s = mutate.contexts("rsa", {}, {})
    local session = mutate.session "rsa"
    local client, server = pump.run(c:handshake { server_name = "localhost", session = session }, s:handshake())
    assert.is_truthy(client.session and server.session, client.message or server.message)
    assert.is_false(client.session.resumed)
  end)

  it("when what the store gives is garbage", function()
    for _, garbage in ipairs { "", "garbage", ("\0"):rep(300) } do
      local store = shared_store()
      store.get = function() return garbage end
      local session, c, s = mutate.session("rsa", nil, { sessions = store })
      local client, server = pump.run(c:handshake { server_name = "localhost", session = session }, s:handshake())
      assert.is_truthy(client.session and server.session, client.message or server.message)
      assert.is_false(client.session.resumed)
    end
  end)

  it("when the client does not offer its suite any more", function()
    is_full { attack = "server", first = { { suites = { "TLS_RSA_WITH_AES_256_GCM_SHA384" } },
      { suites = { "TLS_RSA_WITH_AES_256_GCM_SHA384" } } } }
  end)

  it("when the server does not do its suite any more", function()
    local both = { "TLS_RSA_WITH_AES_256_GCM_SHA384", "TLS_RSA_WITH_AES_128_GCM_SHA256" }
    is_full { attack = "server", first = { { suites = both }, { suites = both } }, again = { { suites = both } } }
  end)

  it("when the client asks for another name", function()
    is_full { attack = "server", again = { { verify = "chain" } }, first = { { verify = "chain" } },
      handshake = { server_name = "127.0.0.1" } }
  end)

  it("when the server requires a certificate that the session has not", function()
    local attacked = is_full { attack = "server", setup = "client_auth", first = { nil, { client_auth = "none" } } }
    assert.is_truthy(attacked.session.peer)
  end)

  it("when the server wants no certificate and the session has one", function()
    local attacked = is_full { attack = "server", setup = "client_auth", again = { nil, { client_auth = "none" } } }
    assert.is_nil(attacked.session.peer)
  end)

  it("when its time is over, on either side", function()
    local now = os.time()
    local clock = function() return now end
    local options = { clock = clock, session_lifetime = 100 }
    local session, c, s = mutate.session("rsa", options, options)
    local function again()
      local client, server = pump.run(c:handshake { server_name = "localhost", session = session }, s:handshake())
      assert.is_truthy(client.session and server.session, client.message or server.message)
      return client.session.resumed
    end
    now = now + 99
    assert.is_true(again())
    now = now + 1
    assert.is_false(again())
  end)

  it("when the server alone thinks so", function()
    local now = os.time()
    local session, c, s = mutate.session("rsa", nil, { clock = function() return now end, session_lifetime = 100 })
    now = now + 101
    local client, server = pump.run(c:handshake { server_name = "localhost", session = session }, s:handshake())
    assert.is_truthy(client.session and server.session, client.message or server.message)
    assert.is_false(client.session.resumed)
    assert.equal(1, s:stored_sessions()) -- the new one
  end)
end)

describe("a session that somebody else offers", function()
  it("is worth nothing without its secret", function()
    local session = mutate.session "rsa"
    local other = mutate.session "rsa"
    local c, s = mutate.contexts "rsa"
    local hc, hs = c:handshake { server_name = "localhost", session = other }, s:handshake()
    hc:on("send", "client_hello", function(m) m.session_id = session.session_id end)
    local client, server = pump.run(hc, hs)
    -- the client sees first that the server's Finished is under other keys
    mutate.failed_with(client, "bad_record_mac", "bad_record_mac", "wait_finished")
    assert.is_nil(server.session)
    assert.is_truthy(server.failure)
  end)
end)

describe("a session whose handshake fails", function()
  local function stored_after(setup, row)
    local store, kept = shared_store()
    local hc, hs = mutate.handshakes(setup, nil, { sessions = store })
    for _, h in ipairs(row) do (h[1] == "client" and hc or hs):on(h[2], h[3], h[4]) end
    local c, s = pump.run(hc, hs)
    local n = 0
    for _ in pairs(kept) do n = n + 1 end
    return n, c, s
  end

  it("is not kept: the client's Finished is wrong", function()
    assert.equal(0, (stored_after("rsa", { { "client", "send", "finished", function(m) m.verify_data = ("\0"):rep(12) end } })))
  end)

  it("is not kept: the client does not like the server's Finished (RFC 5246 §7.2.2)", function()
    local n, c, s = stored_after("rsa", { { "server", "send", "finished", function(m) m.verify_data = ("\0"):rep(12) end } })
    assert.equal("bad_finished", c.failure.code)
    assert.is_truthy(s.failure)
    assert.equal(0, n)
  end)

  it("is kept when all goes well", function()
    assert.equal(1, (stored_after("rsa", {})))
  end)
end)
