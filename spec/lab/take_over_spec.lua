-- A script that takes over from an engine after each message of a handshake, in both roles and all key exchanges, and goes on to data: what it was
-- handed (transcript, secrets, key exchange values, record protection with its sequence numbers, unread bytes) is right at every point.
local akushu = require "akushu"

local function with(...)
  local out = {}
  for _, t in ipairs { ... } do
    for k, v in pairs(t) do out[k] = v end
  end
  return out
end

local function tls12(more) return with({ versions = "1.2", tickets = false }, more or {}) end

local psk = { identity = "me", key = ("k"):rep(20) }
local function with_psk(suite) return { profile = "lab", suites = { suite }, psk = { { identity = "another", key = ("x"):rep(20) }, psk } } end

local cases = {
  { name = "TLS 1.2, ECDHE", options = tls12() },
  { name = "TLS 1.2, ECDHE, no extended master secret", options = tls12 { extended_master_secret = false } },
  { name = "TLS 1.2, ECDHE, CBC", options = tls12 { suites = { "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA" } } },
  { name = "TLS 1.2, DHE", options = tls12 { suites = { "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256" } }, key = "rsa" },
  { name = "TLS 1.2, RSA key exchange", options = tls12 { profile = "classic", suites = { "TLS_RSA_WITH_AES_128_GCM_SHA256" } }, key = "rsa" },
  { name = "TLS 1.0, RSA key exchange, chained CBC", options = with(tls12 { profile = "lab", security_level = 0,
    suites = { "TLS_RSA_WITH_AES_128_CBC_SHA" } }, { versions = "1.0" }), key = "rsa" },
  { name = "TLS 1.2, PSK", options = tls12(with_psk "TLS_PSK_WITH_AES_128_GCM_SHA256") },
  { name = "TLS 1.2, DHE_PSK", options = tls12(with_psk "TLS_DHE_PSK_WITH_AES_128_GCM_SHA256") },
  { name = "TLS 1.2, ECDHE_PSK", options = tls12(with_psk "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256") },
  { name = "TLS 1.2, RSA_PSK", options = tls12(with_psk "TLS_RSA_PSK_WITH_AES_128_GCM_SHA256"), key = "rsa" },
  { name = "TLS 1.2, resumed by session id", options = tls12(), resumed = true },
  { name = "TLS 1.2, resumed by ticket", options = tls12 { tickets = true, session_ids = false }, resumed = true },
  { name = "TLS 1.3", options = { versions = "1.3", tickets = 1 } },
  { name = "TLS 1.3, SHA-384", options = { versions = "1.3", tickets = 1, suites = { "TLS_AES_256_GCM_SHA384" } } },
  { name = "TLS 1.3, HelloRetryRequest", options = { versions = "1.3", tickets = 1 }, client = { groups = { "x25519", "secp256r1" },
    key_shares = { "x25519" } }, server = { groups = { "secp256r1" } } },
  { name = "TLS 1.3, resumed", options = { versions = "1.3", tickets = 1 }, resumed = true },
  { name = "TLS 1.3, resumed, with early data", options = { versions = "1.3", tickets = 1 }, server = { early_data = 1000 }, resumed = true,
    early = "early" },
  { name = "TLS 1.3, all records of one message", options = { versions = "1.3", tickets = 1, coalesce = false } },
}

-- The two peers of a case, new; the session that is resumed was made by the same contexts.
local function peers(case)
  case.lab = case.lab or akushu.lab { seed = case.name }
  local lab = case.lab:again() -- with the same keys, which take their time
  local client = lab:client(with(case.options, { reuse_tickets = case.options.tickets ~= false }, case.client or {}))
  local server = lab:server(with(case.options, { key = case.key }, case.server or {}))
  local session
  if case.resumed then
    local first = lab:run(client, server, { data = { "x", "y" } })
    assert.is_true(first.ok, first.client.message or first.server.message)
    session = assert(first.client.session:resumption())
    lab:advance(1)
  end
  local c = assert(client:handshake { server_name = "localhost", session = session })
  if case.early then assert(c:send_early(case.early)) end
  return lab, c, assert(server:handshake {})
end

-- ---- the rest of a handshake, by hand ---------------------------------------------------------------------------------------------------

local build = {}

function build.client_key_exchange(peer, s)
  return peer:client_key_exchange { certificate = s.certificate, psk_identity = s.suite:find "PSK" and psk.identity or nil }
end

function build.server_hello(peer, s)
  local more = {}
  if s.is_13 then
    if s.resumed then more[1] = { type = "pre_shared_key", data = { selected_identity = 0 } } end
  else
    more[1] = { type = "renegotiation_info", data = "\0" }
  end
  return peer:server_hello { suite = s.suite, version = s.is_13 and "TLS 1.3" or nil, group = s.group, more = more,
    extended_master_secret = s.ems, session_id = s.resumed and peer.client_session_id or nil,
    fields = { legacy_version = s.version == "1.0" and "TLS 1.0" or nil } }
end

function build.hello_retry_request(peer, s)
  return { type = "hello_retry_request", legacy_version = "TLS 1.2", session_id = peer.client_session_id, cipher_suite = s.suite,
    compression_method = "null", extensions = { { type = "supported_versions", data = { selected_version = "TLS 1.3" } },
      { type = "key_share", data = { selected_group = s.group } } } }
end

-- The second ClientHello: the first one with another share.
function build.client_hello(peer, s)
  local hello = akushu.wire.decode(peer.keys.client_hello, { what = "handshake" })
  hello.extensions:find "key_share".data.key_shares = { { group = s.group, key_exchange = peer:share(s.group) } }
  return hello
end

function build.encrypted_extensions(_, s)
  return { type = "encrypted_extensions", extensions = s.early and { { type = "early_data", data = "" } } or {} }
end

function build.certificate(peer, s) return peer:certificate(s.leaf) end

function build.server_key_exchange(peer, s)
  return peer:server_key_exchange { key = not s.suite:find "PSK" and s.leaf or nil, dh = s.suite:find "^TLS_DHE_" and s.dh or nil }
end

function build.server_hello_done() return { type = "server_hello_done" } end

function build.certificate_verify(peer, s) return peer:certificate_verify(s.leaf) end

function build.change_cipher_spec() return "change_cipher_spec" end
function build.end_of_early_data() return { type = "end_of_early_data" } end
function build.finished(peer) return peer:finished() end

function build.new_session_ticket(_, s)
  if s.is_13 then
    return { type = "new_session_ticket", ticket_lifetime = 100, ticket_age_add = 1, ticket_nonce = "n", ticket = "ticket", extensions = {} }
  end
  return { type = "new_session_ticket", ticket_lifetime_hint = 100, ticket = "ticket" }
end

-- Plays what is left of `names` ({ from, name }), starting after the first k.
local function play_on(peer, s, names, k)
  for i = k + 1, #names do
    local from, name = names[i].from, names[i].name
    if from == peer.role then
      if name == "new_session_ticket" and s.is_13 then return end -- nobody needs it
      peer:send(build[name](peer, s))
    elseif name == "client_key_exchange" and s.suite:find "^TLS_RSA_" then
      peer:premaster_in(peer:expect(name), s.private)
    else
      while s.early and peer:try "data" do s.heard_early = true end
      local msg = peer:expect(name)
      if name == "certificate" then s.certificate = msg end
      if name == "finished" then assert.is_true(peer:is_finished(msg)) end
    end
  end
end

-- ---- the specs -------------------------------------------------------------------------------------------------------------------------------

-- The messages that this side of the case sends and sees, from an undisturbed run.
local function messages_of(case, role)
  local lab, c, s = peers(case)
  local mine, theirs = role == "client" and c or s, role == "client" and s or c
  local names = {}
  local ok, message = akushu.script(role, function(peer)
    for name, msg, item in peer:steps(mine) do
      names[#names + 1] = { name = name, from = item.from }
      local params = name == "server_key_exchange" and msg.params
      if params and params.dh_p then names.dh = { p = params.dh_p, g = params.dh_g } end
    end
  end, { lab = lab }):run(theirs)
  assert.is_true(ok, message)
  assert.is_true(mine.done)
  return names
end

local function take_over(case, role, names, k)
  local lab, c, s = peers(case)
  local mine, theirs = role == "client" and c or s, role == "client" and s or c
  local key = case.key or "ecdsa"
  local leaf = lab.made[key]
  local state = { key = key, leaf = leaf, is_13 = case.options.versions == "1.3", version = case.options.versions, resumed = case.resumed,
    early = case.early, dh = names.dh, ems = case.options.extended_master_secret, group = case.server and case.server.groups and case.server.groups[1] or
      "x25519", private = akushu.crypto.key(leaf.key:reveal "der") }
  local where = ("%s, %s, after %d: %s's %s"):format(case.name, role, k, names[k].from, names[k].name)
  local answer, message = akushu.script(role, function(peer)
    local engine = peer:steps(mine)
    for i = 1, k do
      local name, msg, item = engine:step()
      assert.equal(names[i].name, name)
      assert.equal(names[i].from, item.from)
      if name == "certificate" then state.certificate = msg end
    end
    state.suite = case.options.suites and case.options.suites[1] or state.is_13 and "TLS_AES_128_GCM_SHA256" or "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    engine:take_over()
    play_on(peer, state, names, k)
    peer:send { data = "from the script" }
    while role == "client" and peer:try "new_session_ticket" do state.tickets = true end
    local heard = ""
    while #heard < 21 do heard = heard .. peer:expect "data" end -- CBC of TLS 1.0: the first byte is alone in its record
    return heard
  end, { lab = lab }):run(theirs, { app = function(plain) return "heard " .. plain end })
  assert.equal("heard from the script", answer, where .. ": " .. tostring(message))
end

describe("taking over from an engine", function()
  for _, case in ipairs(cases) do
    it("as a client, after each message: " .. case.name, function()
      local names = messages_of(case, "client")
      for k = 1, #names do take_over(case, "client", names, k) end
    end)

    it("as a server, after each message: " .. case.name, function()
      local names = messages_of(case, "server")
      for k = 1, #names do take_over(case, "server", names, k) end
    end)
  end
end)
