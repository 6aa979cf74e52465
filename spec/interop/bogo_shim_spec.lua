-- bogo/shim.lua as a runner uses it: a process of its own over loopback, with akushu as its peer.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local peers = require "spec.support.peers"
local socket = require "socket"

local SHIM_ID = 0x0102030405060708

-- ---- the peer's side -----------------------------------------------------------------------------------------------------------

local listener, port

local function xor(bytes) return (bytes:gsub(".", function(ch) return string.char(ch:byte() ~ 0xff) end)) end

-- Starts the shim; returns a function that waits for its end: status, what it said on stderr, what on stdout.
local function start(args)
  local errors = peers.tmpfile("", "stderr")
  local words = { os.getenv "LUA" or "lua5.4", "bogo/shim.lua" }
  for i, a in ipairs(args) do words[i + 2] = peers.quote(tostring(a)) end
  local pipe = assert(io.popen(table.concat(words, " ") .. " 2>" .. peers.quote(errors) .. "; echo \"status $?\""))
  return function()
    local out = pipe:read "a"
    pipe:close()
    local f = assert(io.open(errors))
    local said = f:read "a"
    f:close()
    return tonumber(out:match "status (%d+)"), said, out
  end
end

local function accept()
  local sock = assert(listener:accept())
  sock:settimeout(peers.patience)
  assert.equal(SHIM_ID, (string.unpack("<I8", assert(sock:receive(8)))))
  sock:settimeout(0)
  return sock
end

local function receive(sock)
  socket.select({ sock }, nil, peers.patience)
  local all, _, part = sock:receive(65536)
  local bytes = all or part
  return bytes ~= "" and bytes or nil
end

-- One connection with the shim: the handshake hs, then `say` and its echo, and as many bytes more. Returns the session and what the shim said before; nil when it failed.
local function talk(hs, say, early, more)
  local sock = accept()
  if early then assert(hs:send_early(early)) end
  local out, _, failure = hs:start()
  while out do
    sock:send(out)
    if hs.done then break end
    local bytes = receive(sock)
    if not bytes then break end
    out, _, failure = hs:step(bytes)
  end
  if not hs.done then
    sock:send(hs:pending())
    sock:close()
    return nil, failure
  end
  local session = assert(hs:session())
  if say then sock:send(session:seal(say)) end
  local heard = ""
  local bytes = ""
  local wanted = #(say or "") + #(early or "") + (more or 0)
  while bytes and #heard < wanted do
    local plain, reply = session:open(bytes) -- first what came with the end of the handshake
    if not plain then break end
    sock:send(reply)
    heard = heard .. plain
    bytes = #heard < wanted and receive(sock) or nil
  end
  sock:send(session:close_write())
  sock:shutdown "send"
  while receive(sock) do end
  sock:close()
  return session, heard
end

local function arguments(...)
  local list = { "-port", port, "-shim-id", SHIM_ID }
  for _, a in ipairs { ... } do list[#list + 1] = a end
  return list
end

local leaf

local function server(options)
  options = options or {}
  options.identity = leaf.identity
  return akushu.server(options)
end

local function client(options)
  options = options or {}
  options.trust, options.verify = leaf.trust, "chain"
  return akushu.client(options)
end

local function as_server(...) return arguments("-server", "-cert-file", leaf.chain, "-key-file", leaf.key, ...) end

setup(function()
  leaf = certs.leaf "ecdsa"
  listener = assert(socket.bind("127.0.0.1", 0))
  listener:settimeout(peers.patience)
  port = select(2, listener:getsockname())
end)

teardown(function() listener:close() end)

-- ---- what it does -----------------------------------------------------------------------------------------------------------------

describe("bogo/shim.lua", function()
  it("says that it has no handshaker", function()
    local status, said, out = start { "-is-handshaker-supported" }()
    assert.equal(0, status)
    assert.equal("", said)
    assert.matches("^No\n", out)
  end)

  it("ends with 89 for a flag that it does not know, wherever it stands", function()
    for _, args in ipairs { { "-no-such-flag" }, { "-port", "1", "-on-resume-no-such-flag" }, { "-on-initial-async", "-ticket-key", "AAAA" } } do
      assert.equal(89, (start(args)()))
    end
  end)

  for _, version in ipairs { "1.2", "1.3" } do
    for _, async in ipairs { false, true } do
      local name = "TLS " .. version .. (async and ", a byte at a time" or "")

      it("is a client that echoes and resumes: " .. name, function()
        local ended = start(arguments("-resume-count", 1, "-expect-version", version == "1.2" and 0x0303 or 0x0304, async and "-async" or "-verify-peer"))
        local context = server { versions = version }
        for i = 1, 2 do
          local session, heard = talk(context:handshake(), "hello, shim")
          assert.equal(xor "hello, shim", heard)
          assert.equal(i == 2, session.resumed)
        end
        local status, said = ended()
        assert.equal("", said)
        assert.equal(0, status)
      end)

      it("is a server that echoes and resumes: " .. name, function()
        local ended = start(as_server("-resume-count", 1, async and "-async" or "-check-close-notify"))
        local context, kept = client { versions = version }, nil
        for i = 1, 2 do
          local session, heard = talk(context:handshake { session = kept }, "hello, shim")
          assert.equal(xor "hello, shim", heard)
          assert.equal(i == 2, session.resumed)
          kept = session:resumption()
        end
        local status, said = ended()
        assert.equal("", said)
        assert.equal(0, status)
      end)
    end
  end

  it("writes first when it is told to", function()
    local ended = start(arguments "-shim-writes-first")
    local _, heard = talk(server():handshake(), nil, nil, 5)
    assert.equal("hello", heard)
    assert.equal(0, (ended()))
  end)

  it("echoes early data, and sends its own", function()
    local ended = start(as_server("-resume-count", 1, "-enable-early-data", "-on-resume-expect-accept-early-data"))
    local context = client { versions = "1.3" }
    local first = talk(context:handshake(), "one")
    local second, heard = talk(context:handshake { session = first:resumption() }, "two", "early")
    assert.equal("accepted", second.early_data)
    assert.equal(xor "early" .. xor "two", heard)
    assert.equal(0, (ended()))

    ended = start(arguments("-resume-count", 1, "-enable-early-data", "-expect-ticket-supports-early-data", "-on-resume-shim-writes-first",
      "-on-resume-expect-early-data-reason", "accept"))
    local issuer = server { versions = "1.3", early_data = 1000, early_data_window = 1000 }
    talk(issuer:handshake(), "one")
    local hs = issuer:handshake()
    local session = talk(hs, "two")
    assert.equal("accepted", session.early_data)
    assert.equal("hello", hs:take_early_data())
    local status, said = ended()
    assert.equal("", said)
    assert.equal(0, status)
  end)

  it("reports a failure by its string, and the alert reaches the peer", function()
    local ended = start(arguments())
    local hs = server { versions = "1.3" }:handshake()
    hs:on("send", "finished", function(msg)
      msg.verify_data = xor(msg.verify_data)
      return msg
    end)
    local session, failure = talk(hs)
    assert.is_nil(session)
    assert.equal("peer_alert", failure.code)
    assert.equal("decrypt_error", failure.alert)
    local status, said = ended()
    assert.equal(1, status)
    assert.matches(":DIGEST_CHECK_FAILED:", said, 1, true)
  end)

  it("judges the chain that a session brings along anew when it is told to", function()
    for _, version in ipairs { "1.2", "1.3" } do
      local ended = start(arguments("-resume-count", 1, "-verify-peer", "-use-custom-verify-callback", "-reverify-on-resume", "-on-resume-verify-fail"))
      local context = server { versions = version }
      talk(context:handshake(), "x")
      local session, failure = talk(context:handshake(), "x")
      assert.is_nil(session)
      assert.equal("certificate_unknown", failure.alert)
      local status, said = ended()
      assert.equal(1, status)
      assert.matches(":CERTIFICATE_VERIFY_FAILED:", said, 1, true)
    end
  end)

  it("does what an organisation's policy allows, whatever else is said", function()
    local offered
    local function hello(...)
      local ended = start(arguments("-max-version", 0x0301, "-curves", 29, ...))
      local hs = server():handshake()
      hs:on("receive", "client_hello", function(msg) offered = msg end)
      talk(hs, "x")
      return ended()
    end
    assert.equal(0, (hello "-fips-202205"))
    assert.same({ "secp256r1", "secp384r1" }, offered.extensions:find "supported_groups".data.named_group_list)
    for _, name in ipairs(offered.cipher_suites) do assert.not_matches("CHACHA20", name) end
    assert.equal(1, (hello "-wpa-202304")) -- the server's key is on P-256
    assert.same({ "secp384r1" }, offered.extensions:find "supported_groups".data.named_group_list)
  end)

  it("has a key that the peer has, too, and expects a hint", function()
    local suites = { "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA", "TLS_PSK_WITH_AES_128_CBC_SHA" }
    for hint, status in pairs { me = 0, you = 1 } do
      local ended = start(arguments("-psk", "secret", "-psk-identity", "me"))
      local context = akushu.server { versions = "1.2", suites = suites, psk = { identity = "me", key = "secret" }, psk_hint = hint }
      talk(context:handshake(), "x")
      assert.equal(status, (ended()))
    end
    local ended = start(arguments("-server", "-psk", "secret", "-psk-identity", "me"))
    local _, heard = talk(akushu.client { versions = "1.2", suites = suites, psk = { identity = "me", key = "secret" }, verify = false }:handshake(), "x")
    assert.equal(xor "x", heard)
    assert.equal(0, (ended()))
  end)

  it("leaves to a handshaker what is the handshaker's", function()
    local ended = start(arguments("-on-handshaker-curves", 24, "-on-shim-curves", 23, "-on-shim-on-initial-expect-curve-id", 23))
    local _, heard = talk(server():handshake(), "x")
    assert.equal(xor "x", heard)
    local status, said = ended()
    assert.equal("", said)
    assert.equal(0, status)
    assert.equal(89, (start { "-on-handshaker-no-such-flag" }()))
  end)

  it("puts a name that is no DNS name into its hello, which stays as long as it is padded to", function()
    local name = ("0123456789"):rep(8) .. ".com"
    local ended = start(arguments("-host-name", name))
    local hs = server { versions = "1.3" }:handshake()
    local seen
    hs:on("receive", "client_hello", function(msg, ev) seen = { msg.extensions:find "server_name".data.server_name_list[1].host_name, #ev.raw } end)
    talk(hs, "x")
    assert.same({ name, 512 }, seen)
    assert.equal(0, (ended()))
  end)

  it("reports the peer's alert", function()
    local ended = start(arguments("-max-version", 0x0303))
    assert.is_nil(talk(server { versions = "1.3" }:handshake()))
    local status, said = ended()
    assert.equal(1, status)
    assert.matches(":TLSV1_ALERT_PROTOCOL_VERSION:", said, 1, true)
  end)
end)

describe("an expectation of the shim's that is not met", function()
  for _, flags in ipairs {
    { "-expect-version", 0x0303 }, { "-expect-alpn", "h2" }, { "-expect-curve-id", 24 }, { "-expect-cipher", 0x1302 },
    { "-expect-peer-signature-algorithm", 0x0804 }, { "-expect-hrr" }, { "-expect-ocsp-response", "AAAA" }, { "-expect-signed-cert-timestamps", "AAAA" },
    { "-expect-no-session" }, { "-expect-ticket-supports-early-data" }, { "-expect-early-data-reason", "accept" }, { "-verify-fail", "-verify-peer" },
    { "-expect-total-renegotiations", 1 },
  } do
    it("fails the test: " .. table.concat(flags, " "), function()
      local ended = start(arguments(table.unpack(flags)))
      talk(server { versions = "1.3", groups = { "x25519" }, suites = { "TLS_AES_128_GCM_SHA256" } }:handshake(), "x")
      local status, said = ended()
      assert.equal(1, status)
      assert.not_equal("", said)
    end)
  end

  for _, flags in ipairs {
    { "-expect-server-name", "other.example" }, { "-expect-no-session-id" }, { "-on-initial-expect-cipher", 0xc02f }, { "-select-alpn", "h2" },
    { "-expect-extended-master-secret" }, { "-expect-no-secure-renegotiation" }, { "-require-any-client-certificate" },
  } do
    it("fails the test of a server: " .. table.concat(flags, " "), function()
      local ended = start(as_server(table.unpack(flags)))
      local c = client { versions = "1.2", suites = { "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" }, extended_master_secret = false, tickets = false }
      talk(c:handshake { server_name = "localhost" }, "x")
      local status, said = ended()
      assert.equal(1, status)
      assert.not_equal("", said)
    end)
  end

  it("belongs to one connection with a prefix", function()
    for flag, good in pairs { ["-on-resume-expect-curve-id"] = false, ["-on-initial-expect-curve-id"] = true } do
      local ended = start(arguments("-resume-count", 1, flag, good and 29 or 24))
      local context = server { versions = "1.3", groups = { "x25519" } }
      talk(context:handshake(), "x")
      talk(context:handshake(), "x")
      assert.equal(good and 0 or 1, (ended()))
    end
  end)
end)

describe("bogo/errors.lua", function()
  it("speaks only of codes and alerts that there are, and has one string for each", function()
    local strings = dofile "bogo/errors.lua"
    for code, text in pairs(strings.codes) do
      assert.is_truthy(akushu.errors[code], code)
      assert.is_string(text, code)
      assert.matches("^[%u%d_]+$", text)
    end
    for _, list in ipairs { strings.alerts, strings.alerts_to_hello } do
      for alert, text in pairs(list) do
        assert.is_truthy(akushu.wire.number("alerts", alert), alert)
        assert.matches("^[%u%d_]+$", text)
      end
    end
  end)
end)
