-- One published TLS 1.3 connection (X25519, RSA-PSS certificate, AES-256-GCM-SHA384, two tickets), made again byte for byte by the
-- engine, in both roles, the signature of CertificateVerify included. What one implementation offers and another does not is set at the
-- compose gate; so are the tickets, as what is in a ticket is its server's secret. All else is the engine's.
local akushu = require "akushu"
local passive = require "akushu.passive"
local vectors = require "spec.support.vectors"

local folder = "illustrated-tls13/captures/caps/"
local here = vectors.read(folder .. "clienthello") ~= nil

local function run_of(first, n)
  local out = {}
  for i = 1, n do out[i] = string.char(first + i - 1) end
  return table.concat(out)
end

local client_private, server_private = run_of(0x20, 32), run_of(0x90, 32)
local client_random, server_random = run_of(0x00, 32), run_of(0x70, 32)
local session_id, salt = run_of(0xe0, 32), ("\x12"):rep(32)
local suite = "TLS_AES_256_GCM_SHA384"
local when = 1538784000 -- 2018-10-06: the certificate's days

describe("the illustrated TLS 1.3 connection", function()
  if not here then
    pending "the vectors are not here"
    return
  end

  local function cap(...)
    local out = {}
    for i, name in ipairs { ... } do out[i] = assert(vectors.read(folder .. name)) end
    return table.concat(out)
  end

  local published_hello = akushu.wire.decode(cap("clienthello"):sub(6), { what = "message" })
  local server_flight = cap("serverhello", "serverccs", "serverencextensions", "serverenccert", "serverenccertverify", "serverencfinished")
  local client_flight = cap("clientccs", "clientencfinished")
  local tickets = cap("serverencticket1", "serverencticket2")

  local function client_of(lab)
    local client = lab:client { trust = akushu.trust.file(vectors.folder .. "/illustrated-tls13/server/server.crt"), versions = "1.3",
      suites = { suite },
      groups = { "x25519" }, schemes = { "rsa_pss_rsae_sha256", "rsa_pkcs1_sha256" }, verify = false } -- no CA of its own comes with it
    local hs = client:handshake { server_name = "example.ulfheim.net" }
    return hs:on("compose", "client_hello", function(msg)
      local share = msg.extensions:find "key_share"
      msg.cipher_suites, msg.extensions = published_hello.cipher_suites, published_hello.extensions
      msg.extensions:find "key_share".data = share.data -- the engine's own
    end)
  end

  local function server_of(lab)
    local server = lab:server { versions = "1.3", suites = { suite }, groups = { "x25519" }, schemes = { "rsa_pss_rsae_sha256" },
      tickets = 2,
      coalesce = false, identity = akushu.identity { chain = vectors.folder .. "/illustrated-tls13/server/server.crt",
        key = vectors.folder .. "/illustrated-tls13/server/server.key" } }
    local n = 0
    local hs = server:handshake {}
    hs:on("compose", "server_hello", function(msg) msg.extensions:move("supported_versions", 1) end)
    return hs:on("compose", "new_session_ticket", function()
      n = n + 1
      return (cap("serverticket" .. n):sub(1, -2)) -- without the content type that was sealed with it
    end)
  end

  it("is made again by the client", function()
    local lab = akushu.lab { clock = when, values = { client_random = client_random, session_id = session_id, key_share = client_private } }
    local hs = client_of(lab)
    assert.equal(vectors.to_hex(cap "clienthello"), vectors.to_hex(assert(hs:start())))
    assert.equal(vectors.to_hex(client_flight), vectors.to_hex(assert(hs:step(server_flight))))
    assert.is_true(hs.done)
    local session = assert(hs:session())
    assert.equal("", (assert(session:open(tickets))))
    assert.equal(vectors.to_hex(cap "clientencdata"), vectors.to_hex(assert(session:seal "ping")))
    assert.equal("pong", (assert(session:open(cap "serverencdata"))))
    for _, purpose in ipairs { "client_random", "session_id", "key_share" } do assert.equal(0, lab:left(purpose)) end
  end)

  it("is made again by the server, its signature too", function()
    local lab = akushu.lab { clock = when, seed = "what goes into tickets is not what is compared",
      values = { server_random = server_random, key_share = server_private, pss_salt = salt } }
    local hs = server_of(lab)
    assert.equal(vectors.to_hex(server_flight), vectors.to_hex(assert(hs:step(cap "clienthello"))))
    assert.equal(vectors.to_hex(tickets), vectors.to_hex(assert(hs:step(client_flight))))
    local session = assert(hs:session())
    assert.equal("ping", (assert(session:open(cap "clientencdata"))))
    assert.equal(vectors.to_hex(cap "serverencdata"), vectors.to_hex(assert(session:seal "pong")))
    for _, purpose in ipairs { "server_random", "key_share", "pss_salt" } do assert.equal(0, lab:left(purpose)) end
  end)

  it("is made again by both in one lab, with the secrets of the key log in the trace", function()
    local lab = akushu.lab { clock = when, seed = "for tickets", values = { client_random = client_random, server_random = server_random,
      session_id = session_id, key_share = { client_private, server_private }, pss_salt = salt } }
    local trace = lab:run(client_of(lab), server_of(lab), { data = { "ping", "pong" } })
    assert.is_true(trace.ok)
    assert.equal(vectors.to_hex(cap("clienthello", "clientccs", "clientencfinished", "clientencdata")), vectors.to_hex(trace:wire "client"))
    assert.equal(vectors.to_hex(server_flight .. tickets .. cap "serverencdata"), vectors.to_hex(trace:wire "server"))
    local log = passive.keylog(vectors.read "illustrated-tls13/captures/keylog.txt")
    for label, name in pairs { SERVER_HANDSHAKE_TRAFFIC_SECRET = "server_handshake_traffic_secret",
      EXPORTER_SECRET = "exporter_master_secret",
      CLIENT_HANDSHAKE_TRAFFIC_SECRET = "client_handshake_traffic_secret", SERVER_TRAFFIC_SECRET_0 = "server_application_traffic_secret_0",
      CLIENT_TRAFFIC_SECRET_0 = "client_application_traffic_secret_0" } do
      for _, side in ipairs { "client", "server" } do
        assert.equal(vectors.to_hex(log[label][client_random]), vectors.to_hex(trace:secret(name, side)))
      end
    end
    assert.same({ "client_hello", "server_hello" }, trace:explain("server_handshake_traffic_secret").messages)
  end)

  it("is read by the passive peer, from its capture", function()
    local capture = vectors.read "illustrated-tls13/captures/capture.pcap"
    for _, keys in ipairs { { keylog = vectors.read "illustrated-tls13/captures/keylog.txt" }, { ephemeral = client_private },
      { ephemeral = server_private } } do
      local found = passive.pcap(capture, keys)
      assert.equal(1, #found)
      assert.same({}, found[1].problems)
      assert.same({ client = true, server = true }, found[1].finished)
      assert.same({ client = "ping", server = "pong" }, found[1].data)
      assert.equal(suite, found[1].suite)
    end
  end)
end)
