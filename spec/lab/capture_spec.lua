-- A real connection, captured on loopback with tcpdump: openssl talks to openssl, and the passive peer reads it with openssl's own key log.
local certs = require "spec.support.certs"
local passive = require "akushu.passive"
local peers = require "spec.support.peers"
local socket = require "socket"

local function can_capture() return peers.have "tcpdump" and peers.is_root() end

-- Captures one conversation of s_client with s_server -rev; returns the capture file's bytes and the key log, or nil and why.
local function captured(client_args)
  local leaf = certs.rsa()
  local dir = peers.tmpdir()
  local server = peers.openssl_server { chain = leaf.chain, key = leaf.key, args = { "-rev" } }
  local file = dir .. "/capture.pcap"
  local mark = assert(socket.udp())
  assert(mark:setsockname("127.0.0.1", 0))
  local _, mark_port = mark:getsockname()
  local dump = peers.spawn { "tcpdump", "-i", "lo", "-U", "--immediate-mode", "-s", "0", "-Z", "root", "-w", file,
    ("tcp port %d or udp port %d"):format(server.port, mark_port) }
  if not dump:wait_log "listening on" then
    server:stop()
    return nil, "tcpdump cannot listen here: " .. dump:stop():log()
  end
  local words = { "-keylogfile", dir .. "/keylog.txt", "-quiet", "-no_ign_eof" }
  for _, word in ipairs(client_args) do words[#words + 1] = word end
  local client = peers.openssl_client { port = server.port, ca = leaf.ca, args = words, pipe = true }
  client:write "stressed desserts\n"
  assert.is_truthy(client:wait_log "stressed desserts", client:log())
  client:write "Q\n"
  client:wait()
  client:stop()
  server:stop()
  -- A datagram behind the last packet: when that is in the file, all of them are.
  assert(mark:sendto("all was said", "127.0.0.1", mark_port))
  assert.is_truthy(peers.wait_for(function() return (peers.read_file(file) or ""):find("all was said", 1, true) end), dump:log())
  mark:close()
  dump:stop()
  return peers.read_file(file), peers.read_file(dir .. "/keylog.txt")
end

local cases = {
  { "TLS 1.2, RSA key exchange", { "-tls1_2", "-cipher", "AES128-SHA" }, "1.2", "TLS_RSA_WITH_AES_128_CBC_SHA" },
  { "TLS 1.2, ECDHE", { "-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384" }, "1.2", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" },
  { "TLS 1.2, ChaCha20", { "-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305" }, "1.2", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" },
  { "TLS 1.3", { "-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384" }, "1.3", "TLS_AES_256_GCM_SHA384" },
  { "TLS 1.3, ChaCha20", { "-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256" }, "1.3", "TLS_CHACHA20_POLY1305_SHA256" },
}

describe("a capture of openssl with openssl", function()
  for _, case in ipairs(cases) do
    it("is read with openssl's key log: " .. case[1], function()
      if not can_capture() then return pending "tcpdump, as root, is needed" end
      local bytes, keylog = captured(case[2])
      if not bytes then return pending(keylog) end
      local found = passive.pcap(bytes, { keylog = keylog })
      assert.equal(1, #found)
      local p = found[1]
      assert.same({}, p.problems)
      assert.equal(case[3], p.version)
      assert.equal(case[4], p.suite)
      assert.same({ client = true, server = true }, p.finished)
      assert.equal("stressed desserts\n", p.data.client)
      assert.equal("stressed desserts\n", p.data.server) -- which is itself, reversed
      assert.is_truthy(p.address.server:find "127.0.0.1")
      -- Without the key log the same capture says nothing.
      local blind = passive.pcap(bytes, {})[1]
      assert.same({ client = "", server = "" }, blind.data)
      assert.is_true(#blind.problems > 0)
    end)
  end
end)
