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

local function reachable(proc)
  local s = socket.tcp()
  s:settimeout(1)
  local ok = s:connect("127.0.0.1", proc.port)
  s:close()
  return ok
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

-- ---- BoringSSL --------------------------------------------------------------------------------------------------------------------

describe("TLS 1.3: akushu and BoringSSL's tool", function()
  local function boring_server(id, args)
    return peers.start_server(function(port)
      local words = { "bssl-tool", "server", "-accept", port, "-cert", id.chain, "-key", id.key, "-min-version", "tls1.3", "-loop", "-www" }
      for _, a in ipairs(args or {}) do words[#words + 1] = a end
      return words
    end, reachable)
  end

  -- The tool ends its answers without close_notify.
  local function page(c)
    local _, _, failure, text = c:receive_all()
    assert.equal("truncated", failure.code)
    assert.truthy(text:find("HTTP/1.0 200", 1, true), text)
  end

  local request = "GET / HTTP/1.0\r\n\r\n"

  with("bssl-tool", "its server: suites, groups, resumption, early data", function()
    local id = certs.ecdsa()
    local server = boring_server(id, { "-early-data", "-curves", "X25519:P-256:P-384" })
    for _, suite in ipairs { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256" } do
      for _, group in ipairs { "x25519", "secp256r1", "secp384r1" } do
        local c = dial(server.port, client_context(id, { suites = { suite }, groups = { group }, grease = true }))
        assert.equal(suite, c.session.suite)
        assert.equal(group, c.session.group)
        assert(c:send(request))
        page(c)
      end
    end
    local context = client_context(id, { key_shares = { "x448" }, groups = { "x448", "secp256r1" } })
    local c = dial(server.port, context)
    assert.is_true(c.session.hello_retry)
    assert(c:send(request))
    page(c)
    context = client_context(id)
    c = dial(server.port, context)
    assert(c:send(request))
    page(c)
    local session = assert(c.session:resumption())
    c = dial(server.port, context, { session = session, early = request })
    assert.is_true(c.session.resumed)
    assert.equal("accepted", c.session.early_data)
    page(c)
    server:stop()
  end)

  with("bssl-tool", "its client: certificates, GREASE, resumption, early data", function()
    local context = server_context(certs.ecdsa(), { early_data = 1000 })
    local id = certs.ecdsa()
    local kept = peers.tmpdir() .. "/session"
    for round = 1, 2 do
      local listener, port = net.listen()
      local words = { "bssl-tool", "client", "-connect", "127.0.0.1:" .. port, "-server-name", "localhost", "-root-certs", id.ca,
        "-min-version", "tls1.3",
        "-grease", "-permute-extensions" }
      for _, a in ipairs(round == 1 and { "-session-out", kept } or { "-session-in", kept, "-early-data",
        "early words\n" }) do words[#words + 1] = a end
      words.pipe = true
      local client = peers.spawn(words)
      local hs = context:handshake {}
      local c, message = net.serve(listener, hs)
      assert(c, message or client:log())
      assert.equal(round == 2, c.session.resumed)
      if round == 2 then
        assert.equal("accepted", hs.early_data)
        assert.equal("early words\n", hs:take_early_data())
      end
      client:write "hello akushu\n"
      assert.equal("hello akushu\n", assert(c:receive_until "\n"))
      assert(c:send "hello boring\n")
      assert.truthy(client:wait_log("hello boring", 10), client:log())
      c:close()
      client:wait(5)
      client:stop()
      listener:close()
    end
  end)
end)

-- ---- servers that do P-256 alone ---------------------------------------------------------------------------------------------------

describe("TLS 1.3: an akushu client's second ClientHello", function()
  with("nghttpd", "nghttpd", function()
    local id = certs.ecdsa()
    local server = peers.start_server(function(port)
      return { "nghttpd", "--address=127.0.0.1", port, id.key, id.chain }
    end, reachable)
    local context, session = client_context(id, { alpn = { "h2" }, key_shares = { "x25519" } }), nil
    for round = 1, 2 do
      local c = dial(server.port, context, { session = session })
      assert.equal("h2", c.session.alpn)
      assert.equal("secp256r1", c.session.group)
      assert.is_true(c.session.hello_retry)
      assert.equal(round == 2, c.session.resumed)
      assert(c:send "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
      assert.equal(4, assert(c:receive(9)):byte(4)) -- its SETTINGS
      session = assert(c.session:resumption())
      c:close()
    end
    server:stop()
  end)

  with("socat", "socat", function()
    local id = certs.ecdsa()
    local server = peers.start_server(function(port)
      return { "socat", "-d", "-d", ("OPENSSL-LISTEN:%d,bind=127.0.0.1,reuseaddr,fork,cert=%s,key=%s,verify=0"):format(port, id.chain,
        id.key), "EXEC:cat" }
    end, "listening")
    local c = dial(server.port, client_context(id, { key_shares = { "x25519" } }))
    assert(c:send "and back\n")
    assert.equal("and back\n", assert(c:receive_until "\n"))
    assert.equal(c.session.group ~= "x25519", c.session.hello_retry)
    c:close()
    server:stop()
  end)
end)

-- ---- Chromium ------------------------------------------------------------------------------------------------------------------------

describe("TLS 1.3: examples/server.lua and Chromium #slow", function()
  with("chromium", "loads a page", function()
    local id = certs.ecdsa()
    local home = peers.tmpdir()
    assert(os.execute(("mkdir -p %s/.pki/nssdb && certutil -N -d sql:%s/.pki/nssdb --empty-password && certutil -A -d sql:%s/.pki/nssdb -n ca -t C,, -i %s")
      :format(home, home, home, peers.quote(id.ca))))
    local server = peers.start_server(function(port)
      local words = { "lua5.4", "examples/server.lua", "--listen", "127.0.0.1:" .. port, "--www", "--chain", id.chain, "--key", id.key }
      words.env, words.limit = { LUA_PATH = package.path, LUA_CPATH = package.cpath }, 120
      return words
    end, "istening")
    local words = { "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--user-data-dir=" .. home .. "/profile", "--dump-dom",
        ("https://localhost:%d/"):format(server.port) }
    words.env, words.limit = { HOME = home }, 90
    local browser = peers.spawn(words)
    assert.equal(0, browser:wait(80), browser:log())
    local page = browser:log()
    assert.truthy(page:find("1%.3"), page)
    assert.truthy(page:find("TLS_AES_128_GCM_SHA256", 1, true), page)
    browser:stop()
    server:stop()
  end)
end)
