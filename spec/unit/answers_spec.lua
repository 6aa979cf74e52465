-- What callbacks may answer, and what is refused: a yes that nobody said must not become one.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local pump = require "spec.support.pump"

local stranger = akushu.testca.new { name = "somebody else" }

local function attempt(client, server)
  local id = certs.ecdsa()
  server.identity = server.identity or id.identity
  client.trust = client.trust or id.trust
  local a, b = pump.run(akushu.client(client):handshake { server_name = "localhost" }, akushu.server(server):handshake())
  return a, b
end

describe("on_untrusted", function()
  for _, answer in ipairs { "yes", "unknown_ca", 1, {} } do
    it("may not answer " .. type(answer) .. " " .. (type(answer) == "table" and "" or tostring(answer)), function()
      local a = attempt({ trust = stranger:trust(), on_untrusted = function() return answer end }, {})
      assert.equal("hook_failed", a.failure.code)
    end)
  end

  it("goes on for true, and for nothing else", function()
    assert.is_nil(attempt({ trust = stranger:trust(), on_untrusted = function() return true end }, {}).failure)
    assert.equal("unknown_ca", attempt({ trust = stranger:trust(), on_untrusted = function() end }, {}).failure.code)
  end)
end)

describe("on_identity", function()
  it("may answer with what the option identity takes", function()
    local id = certs.ecdsa()
    local a = attempt({}, { identity = id.identity, on_identity = function() return { chain = id.chain, key = id.key } end })
    assert.is_nil(a.failure)
  end)

  it("may not answer with files that are not there", function()
    local _, b = attempt({}, { on_identity = function() return { chain = "/nowhere", key = "/nowhere" } end })
    assert.equal("hook_failed", b.failure.code)
  end)
end)

describe("alpn", function()
  it("may not answer with a number", function()
    local _, b = attempt({ alpn = { "h2" } }, { alpn = function() return 5 end })
    assert.equal("hook_failed", b.failure.code)
  end)
end)

describe("a handshake whose session was taken", function()
  it("swallows no bytes", function()
    local a = attempt({}, {})
    assert.equal("", a.hs:step "")
    local out, _, failure = a.hs:step "x"
    assert.is_nil(out)
    assert.equal("not_ready", failure.code)
  end)
end)
