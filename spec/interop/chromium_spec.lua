-- Headless Chromium loads a page: of examples/server.lua --www as it stands, and of an akushu server in this process that compresses its certificate.
-- Chromium is not scriptable enough here for resumption, early data and client certificates: BoringSSL's tool has them (boringssl_spec.lua).
local akushu = require "akushu"
local certs = require "spec.support.certs"
local interop = require "spec.support.interop"
local net = require "spec.support.net"
local peers = require "spec.support.peers"
local socket = require "socket"

-- A browser on its way to a page, whose DOM it will print.
local function browse(id, port)
  local home = peers.tmpdir()
  assert(os.execute(("mkdir -p %s/.pki/nssdb && certutil -N -d sql:%s/.pki/nssdb --empty-password && certutil -A -d sql:%s/.pki/nssdb -n ca -t C,, -i %s"):format(
    home, home, home, peers.quote(id.ca))))
  local words = { "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--user-data-dir=" .. home .. "/profile", "--dump-dom", ("https://localhost:%d/"):format(port) }
  words.env = { HOME = home }
  return peers.spawn(words)
end

interop.describe("Chromium #slow", { "chromium", "certutil" }, function()
  it("loads a page of examples/server.lua --www", function()
    local id = certs.ecdsa()
    local server = peers.start_server(function(port)
      local words = { "lua5.4", "examples/server.lua", "--listen", "127.0.0.1:" .. port, "--www", "--chain", id.chain, "--key", id.key }
      words.env = { LUA_PATH = package.path, LUA_CPATH = package.cpath }
      return words
    end, "istening")
    local browser = browse(id, server.port)
    assert.equal(0, browser:wait(), browser:log())
    local page = browser:log()
    assert.truthy(page:find("1%.3") and page:find("TLS_AES_128_GCM_SHA256", 1, true), page)
    browser:stop()
    server:stop()
  end)

  it("reads a certificate that brotli has compressed, TLS 1.3, and an ordinary one, TLS 1.2", function()
    if not akushu.supports("certificate_compression", "brotli") then return pending "brotli's library is not installed" end
    local id = certs.ecdsa()
    for _, version in ipairs { "1.3", "1.2" } do
      local context = interop.server_of(id, version, { certificate_compression = version == "1.3" and { "brotli" } or nil })
      local listener, port = net.listen()
      local browser = browse(id, port)
      local sent, served, open, turns = {}, 0, {}, 0
      local function serve(c)
        c.deadline = socket.gettime() + peers.patience
        if c:handshake() and c:receive_until "\r\n\r\n" then
          assert.equal(version, c.session.version)
          local page = "<html><body>akushu compresses</body></html>"
          assert(c:send(("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"):format(#page, page)))
          served = served + 1
          c:close()
        else
          c.sock:close()
        end
      end
      -- It comes more than once, for the page and for its icon, say, and may open a connection on which it says nothing yet.
      while not browser:code() and turns < 20 * peers.patience do
        turns = turns + 1
        local hs = context:handshake {}
        hs:on("send", "*", function(_, ev) sent[ev.name] = true end)
        open[#open + 1] = net.accept(listener, hs, { timeout = 0.1 })
        for i = #open, 1, -1 do
          local c = open[i]
          if socket.select({ c.sock }, nil, 0)[c.sock] then serve(table.remove(open, i)) end
        end
      end
      for _, c in ipairs(open) do c.sock:close() end
      listener:close()
      assert.equal(0, browser:code(), browser:log())
      assert.truthy(browser:stop():log():find("akushu compresses", 1, true), browser:log())
      assert.is_true(served > 0)
      assert.same({ version == "1.3" or nil, version ~= "1.3" or nil }, { sent.compressed_certificate, sent.certificate })
    end
  end)
end)
