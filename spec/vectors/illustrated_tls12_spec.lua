-- One published TLS 1.2 connection (ECDHE-RSA over X25519, AES-128-CBC-SHA), made again byte for byte by the engine, in both roles:
-- every record from the published randoms, private values and IVs, given by purpose. Only what one implementation puts into its
-- ClientHello and another does not (suites and extensions, and their order) is set at the compose gate; signature, key exchange, keys,
-- Finished and records are the engine's.
local akushu = require "akushu"
local passive = require "akushu.passive"
local vectors = require "spec.support.vectors"

local folder = "illustrated-tls12/captures/caps/"
local here = vectors.read(folder .. "clienthello") ~= nil

local function run_of(first, n)
  local out = {}
  for i = 1, n do out[i] = string.char(first + i - 1) end
  return table.concat(out)
end

local client_private, server_private = run_of(0x20, 32), run_of(0x90, 32)
local client_random, server_random = run_of(0x00, 32), run_of(0x70, 32)
local client_ivs = { run_of(0x40, 16), run_of(0x00, 16), run_of(0x10, 16) } -- Finished, "ping", close_notify
local server_ivs = { run_of(0x51, 15) .. "\x60", run_of(0x61, 15) .. "\x70" } -- Finished, "pong"
local when = 1538784000 -- 2018-10-06: the certificate's days

describe("the illustrated TLS 1.2 connection", function()
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
  local first_server_flight = cap("serverhello", "servercert", "serverkeyexchange", "serverhellodone")
  local client_flight = cap("clientkeyexchange", "clientccs", "clientfinished")
  local server_end = cap("serverccs", "serverfinished")

  local suite = "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"

  local function client_of(lab)
    local client = lab:client { trust = akushu.trust.file(vectors.folder .. "/illustrated-tls12/ca.crt"), max_version = "1.2",
      suites = { suite },
      tickets = false, session_ids = false, schemes = { "rsa_pkcs1_sha256" }, verify = "chain" } -- its certificate has no subjectAltName
    local hs = client:handshake { server_name = "example.ulfheim.net" }
    return hs:on("compose", "client_hello", function(msg)
      msg.cipher_suites, msg.extensions = published_hello.cipher_suites, published_hello.extensions
    end)
  end

  local function server_of(lab)
    local server = lab:server { max_version = "1.2", suites = { suite }, tickets = false, session_ids = false,
      schemes = { "rsa_pkcs1_sha256" },
      identity = akushu.identity { chain = vectors.folder .. "/illustrated-tls12/server/server.crt",
        key = vectors.folder .. "/illustrated-tls12/server/server.key" } }
    return server:handshake {}:on("compose", "server_hello", function(msg) msg.extensions:remove "ec_point_formats" end)
  end

  it("is made again by the client", function()
    local lab = akushu.lab { clock = when, values = { client_random = client_random, key_share = client_private, cbc_iv = client_ivs } }
    local hs = client_of(lab)
    assert.equal(cap "clienthello", assert(hs:start()))
    assert.equal(client_flight, assert(hs:step(first_server_flight)))
    assert.equal("", assert(hs:step(server_end)))
    assert.is_true(hs.done)
    local session = assert(hs:session())
    assert.equal(cap "clientdata", assert(session:seal "ping"))
    assert.equal("pong", (assert(session:open(cap "serverdata"))))
    assert.equal(cap "clientalert", assert(session:close()))
    for _, purpose in ipairs { "client_random", "key_share", "cbc_iv" } do assert.equal(0, lab:left(purpose)) end
  end)

  it("is made again by the server", function()
    local lab = akushu.lab { clock = when, values = { server_random = server_random, key_share = server_private, cbc_iv = server_ivs } }
    local hs = server_of(lab)
    assert.equal(first_server_flight, assert(hs:step(cap "clienthello")))
    assert.equal(server_end, assert(hs:step(client_flight)))
    local session = assert(hs:session())
    assert.equal("ping", (assert(session:open(cap "clientdata"))))
    assert.equal(cap "serverdata", assert(session:seal "pong"))
    local plain, _, failure = session:open(cap "clientalert")
    assert.is_nil(plain)
    assert.equal("closed", failure.code)
    for _, purpose in ipairs { "server_random", "key_share", "cbc_iv" } do assert.equal(0, lab:left(purpose)) end
  end)

  it("is made again by both in one lab, with every secret in the trace", function()
    local lab = akushu.lab { clock = when, values = { client_random = client_random, server_random = server_random,
      key_share = { server_private, client_private }, cbc_iv = { client_ivs[1], server_ivs[1], client_ivs[2], server_ivs[2],
        client_ivs[3] } } }
    local trace = lab:run(client_of(lab), server_of(lab), { data = { "ping", "pong" } })
    assert.is_true(trace.ok)
    trace.client:close()
    assert.equal(cap("clienthello", "clientkeyexchange", "clientccs", "clientfinished", "clientdata", "clientalert"), trace:wire "client")
    assert.equal(first_server_flight .. server_end .. cap "serverdata", trace:wire "server")
    assert.equal("916abf9da55973e13614ae0a3f5d3f37b023ba129aee02cc9134338127cd7049781c8e19fc1eb2a7387ac06ae237344c",
      vectors.to_hex(trace:secret "master_secret"))
    assert.equal(trace:secret("master_secret", "client"), trace:secret("master_secret", "server"))
    local x = trace:explain "master_secret"
    assert.equal("master secret", x.label)
    assert.same({ "shared_secret" }, x.from)
    assert.equal(client_random .. server_random, x.context)
    assert.equal(cap("clientfinishedplain"):sub(5), trace:secret("client_verify_data", "client"))
    assert.equal(cap("serverfinishedplain"):sub(5, 16), trace:secret("server_verify_data", "server"))
  end)

  it("does not come out with any other value", function()
    for purpose, value in pairs { client_random = "\1" .. client_random:sub(2), key_share = "\1" .. client_private:sub(2) } do
      local lab = akushu.lab { clock = when, values = { client_random = client_random, key_share = client_private, cbc_iv = client_ivs } }
      lab = purpose == "client_random" and akushu.lab { clock = when, values = { client_random = value, key_share = client_private,
        cbc_iv = client_ivs } } or
        akushu.lab { clock = when, values = { client_random = client_random, key_share = value, cbc_iv = client_ivs } } or lab
      local hs = client_of(lab)
      local hello = assert(hs:start())
      local out = hs:step(first_server_flight)
      assert.is_true(hello ~= cap "clienthello" or out ~= client_flight)
    end
  end)

  it("is read by the passive peer, from its capture", function()
    local found = passive.pcap(vectors.read "illustrated-tls12/captures/capture.pcap",
      { keylog = vectors.read "illustrated-tls12/captures/keylog.txt" })
    assert.equal(1, #found)
    local p = found[1]
    assert.same({}, p.problems)
    assert.same({ client = true, server = true }, p.finished)
    assert.same({ client = "ping", server = "pong" }, p.data)
    assert.equal(suite, p.suite)
    -- and without the key log, with one side's private value
    for _, value in ipairs { client_private, server_private } do
      p = passive.pcap(vectors.read "illustrated-tls12/captures/capture.pcap", { ephemeral = value })[1]
      assert.same({ client = "ping", server = "pong" }, p.data)
    end
  end)
end)
