-- TLS 1.3 between akushu and GnuTLS, BoringSSL's tool, nghttpd and socat over loopback. A peer that is not installed leaves its tests
-- pending.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local net = require "spec.support.net"
local peers = require "spec.support.peers"
local socket = require "socket"

local function merge(...)
  local out = {}
  for _, t in pairs { ... } do
    for k, v in pairs(t) do out[k] = v end
  end
  return out
end

local function client_context(id, more) return akushu.client(merge({ trust = id.trust, versions = "1.3" }, more or {})) end
local function server_context(id, more) return akushu.server(merge({ identity = id.identity, versions = "1.3" }, more or {})) end

local function dial(port, context, o)
  o = o or {}
  local hs = context:handshake { server_name = "localhost", session = o.session }
  if o.early then assert(hs:send_early(o.early)) end
  local c = net.connect(port, hs)
  assert(c:handshake())
  return c
end

local function put(c, bytes) assert(c.sock:send(bytes)) end

-- it(), or a pending test when the program is not there.
local function with(program, name, fn)
  if peers.have(program) then it(name, fn)
  else pending(("%s (%s is not installed)"):format(name, program)) end
end

-- ---- GnuTLS --------------------------------------------------------------------------------------------------------------------

local only13 = "NORMAL:-VERS-ALL:+VERS-TLS1.3"

describe("TLS 1.3: an akushu client and gnutls-serv", function()
  local function echo(c, text)
    assert(c:send(text .. "\n"))
    assert.equal(text .. "\n", assert(c:receive_until "\n"))
  end

  for suite, cipher in pairs { TLS_AES_128_GCM_SHA256 = "AES-128-GCM", TLS_AES_256_GCM_SHA384 = "AES-256-GCM",
    TLS_CHACHA20_POLY1305_SHA256 = "CHACHA20-POLY1305", TLS_AES_128_CCM_SHA256 = "AES-128-CCM",
      TLS_AES_128_CCM_8_SHA256 = "AES-128-CCM-8" } do
    with("gnutls-serv", "speaks " .. suite .. ", resumes, changes keys", function()
      local id = certs.ecdsa()
      local server = peers.gnutls_server { chain = id.chain, key = id.key, priority = only13 .. ":-CIPHER-ALL:+" .. cipher,
        args = { "--echo" } }
      local context, session = client_context(id, { suites = { suite } }), nil
      for round = 1, 2 do
        local c = dial(server.port, context, { session = session })
        assert.equal(suite, c.session.suite)
        assert.equal(round == 2, c.session.resumed)
        echo(c, "one for all")
        for i = 1, 4 do
          put(c, assert(c.session:update_keys(i % 2 == 0)))
          echo(c, "new keys")
        end
        session = assert(c.session:resumption())
        c:close()
      end
      server:stop()
    end)
  end

  with("gnutls-serv", "agrees on every group, asked for at once and by HelloRetryRequest", function()
    local id = certs.rsa()
    for group, name in pairs { x25519 = "X25519", x448 = "X448", secp256r1 = "SECP256R1", secp384r1 = "SECP384R1", secp521r1 = "SECP521R1",
      ffdhe2048 = "FFDHE2048" } do
      local server = peers.gnutls_server { chain = id.chain, key = id.key, priority = only13 .. ":-GROUP-ALL:+GROUP-" .. name,
        args = { "--echo" } }
      for _, first in ipairs { group, group == "x25519" and "secp256r1" or "x25519" } do
        local c = dial(server.port, client_context(id, { key_shares = { first } }))
        assert.equal(group, c.session.group)
        assert.equal(first ~= group, c.session.hello_retry)
        echo(c, "group")
        c:close()
      end
      server:stop()
    end
  end)

  with("gnutls-serv", "keeps to its record size limit, and it to ours (RFC 8449)", function()
    local id = certs.ecdsa()
    local server = peers.gnutls_server { chain = id.chain, key = id.key, priority = only13, args = { "--echo", "--recordsize=600" } }
    local c = dial(server.port, client_context(id, { record_size_limit = 512 }))
    echo(c, ("r"):rep(3000))
    c:close()
    server:stop()
  end)

  with("gnutls-serv", "sends early data, which is taken", function()
    local id = certs.ecdsa()
    local server = peers.gnutls_server { chain = id.chain, key = id.key, priority = only13, args = { "--echo", "--earlydata",
      "--maxearlydata=1000" } }
    socket.sleep(2.1) -- it takes no early data of tickets that look older than itself
    local context = client_context(id)
    local c = dial(server.port, context)
    echo(c, "first")
    local session = assert(c.session:resumption())
    assert.equal(1000, session.max_early_data)
    c:close()
    c = dial(server.port, context, { session = session, early = "early words\n" })
    assert.equal("accepted", c.session.early_data)
    echo(c, "later")
    c:close()
    server:stop()
  end)

  with("gnutls-serv", "shows a certificate when it is asked", function()
    local id = certs.ecdsa()
    for _, kind in ipairs { "rsa", "ecdsa", "ed25519" } do
      local mine = certs.leaf(kind, "client")
      local server = peers.gnutls_server { chain = id.chain, key = id.key, priority = only13, args = { "--echo", "--require-client-cert",
        "--verify-client-cert",
        "--x509cafile", mine.ca } }
      local c = dial(server.port, client_context(id, { identity = mine.identity }))
      echo(c, "it is me")
      c:close()
      server:stop()
    end
  end)
end)

describe("TLS 1.3: an akushu server and gnutls-cli", function()
  local function serve(context, id, args, talk, connections)
    local listener, port = net.listen()
    local client = peers.gnutls_client { port = port, ca = id.ca, priority = only13, args = args, pipe = true }
    for i = 1, connections or 1 do
      local hs = context:handshake {}
      local c, message = net.serve(listener, hs)
      assert(c, message or client:log())
      talk(c, client, hs, i)
      c:close()
    end
    client:finish_input()
    client:wait(5)
    client:stop()
    listener:close()
    return client:log()
  end

  local function echo(c, client)
    client:write "hello akushu\n"
    assert.equal("hello akushu\n", assert(c:receive_until "\n"))
    assert(c:send "hello gnutls\n")
    assert.truthy(client:wait_log("hello gnutls", 10), client:log())
  end

  with("gnutls-cli", "talks, changes keys, both ways", function()
    local id = certs.ecdsa()
    serve(server_context(id), id, { "--inline-commands" }, function(c, client)
      echo(c, client)
      put(c, assert(c.session:update_keys(true)))
      echo(c, client)
      client:write "^rekey^\n" -- a KeyUpdate of the client's
      socket.sleep(0.3)
      echo(c, client)
    end)
  end)

  with("gnutls-cli", "resumes, with early data", function()
    local id = certs.ecdsa()
    local early = peers.tmpfile "early words\n"
    serve(server_context(id, { early_data = 1000 }), id, { "--resume", "--waitresumption", "--earlydata=" .. early }, function(c, client,
      hs, i)
      assert.equal(i == 2, c.session.resumed)
      if i == 1 then return end
      assert.equal("accepted", hs.early_data)
      assert.equal("early words\n", hs:take_early_data())
      echo(c, client)
    end, 2)
  end)

  with("gnutls-cli", "shows a certificate, keeps to a record size", function()
    local id, mine = certs.ecdsa(), certs.leaf("rsa", "client")
    serve(server_context(id, { trust = mine.trust, client_auth = "require", record_size_limit = 600 }), id,
      { "--x509certfile", mine.chain, "--x509keyfile", mine.key, "--recordsize=600" }, function(c, client)
        assert.is_truthy(c.session.peer)
        echo(c, client)
        assert(c:send(("y"):rep(3000) .. "\n"))
        assert.truthy(client:wait_log(("y"):rep(3000), 10))
      end)
  end)
end)
