-- The example programs for event loops as a user runs them: each one's client at each one's server, curl, and what goes wrong.
local certs = require "spec.support.certs"
local peers = require "spec.support.peers"

local loops = { "copas", "cqueues", "luv" }
local id = certs.ecdsa()

local function run(...)
  local proc = peers.lua { ... }
  local code = proc:wait()
  return code, proc:stop():log()
end

for _, name in ipairs(loops) do
  local program = ("examples/%s.lua"):format(name)

  describe(program, function()
    local s
    setup(function()
      s = peers.start_server(function(port)
        local words = { "lua5.4", program, "serve", "--chain", id.chain, "--key", id.key, "--timeout", "90", "127.0.0.1:" .. port }
        words.env = { LUA_PATH = package.path, LUA_CPATH = package.cpath }
        return words
      end, "listening on")
    end)
    teardown(function() s:stop() end)

    for _, other in ipairs(loops) do
      it("serves " .. other, function()
        local code, said = run(("examples/%s.lua"):format(other), "get", "--ca", id.ca, "localhost:" .. s.port, "/")
        assert.equal(0, code, said)
        assert.matches("HTTP/1.0 200 OK\r\n.*\r\n\r\nTLS 1.3, TLS_%S+, group x25519, full handshake, localhost\n$", said)
      end)
    end

    it("serves curl", function()
      local c = peers.curl { port = s.port, ca = id.ca }
      local code = c:wait()
      assert.equal(0, code, c:stop():log())
      assert.matches("TLS 1.3, ", c:log())
    end)

    it("refuses whom it does not trust, and both say why", function()
      local code, said = run(program, "get", "--ca", certs.rsa().ca, "localhost:" .. s.port)
      assert.equal(1, code, said)
      assert.matches(("^%s.lua: [^\n]*unknown_ca[^\n]*\n$"):format(name), said)
      assert.is_truthy(s:wait_log "peer_alert", s:log())
    end)

    it("tells mistakes in one line", function()
      for _, row in ipairs {
        { 1, "refused", "get", "--ca", id.ca, "127.0.0.1:1" },
        { 1, "No such file", "get", "--ca", "/nowhere/at/all", "127.0.0.1:1" },
        { 2, "get or serve", "fetch" },
        { 2, "get wants one address", "get" },
        { 2, "serve wants one address", "serve", "127.0.0.1:1", "127.0.0.1:2" },
        { 2, "a server wants %-%-chain", "serve", "127.0.0.1:0" },
        { 2, "%-%-chain and %-%-key are the server's", "get", "--chain", id.chain, "127.0.0.1:1" },
      } do
        local code, said = run(program, table.unpack(row, 3))
        assert.equal(row[1], code, said)
        assert.matches(row[2], said:lower():find(row[2]) and said:lower() or said)
        assert.equal(1, select(2, said:gsub("\n", "")), said)
      end
    end)
  end)
end
