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

  for _, version in ipairs { "1.2", "1.3" } do
    it("of a client is told which CAs the server would believe, in words and as they are, TLS " .. version, function()
      local one, two = akushu.testca.new { name = "CA, one" }, akushu.testca.new { name = "CA two" }
      local trust = akushu.trust { certificates = { one.certificate, two.certificate } }
      local asked
      local mine = one:issue { names = { "client.example" }, purpose = "client" }
      local a, b = attempt({ versions = version, on_identity = function(ca_names)
        asked = ca_names
        for _, name in ipairs(ca_names) do
          if name == mine.identity.certificate.issuer then return mine end
        end
      end }, { client_auth = "require", trust = trust })
      assert.is_nil(a.failure)
      assert.equal("CN=client.example", b.session.peer.certificate.subject)
      local subjects = { one.certificate.subject, two.certificate.subject }
      local ders = { one.certificate.subject_der, two.certificate.subject_der }
      assert.same({ subjects[1], subjects[2], der = ders, bytes = string.pack(">s2s2", ders[1], ders[2]) }, asked)
      assert.equal("CN=CA\\, one", asked[1])
    end)
  end

  it("of a client gets nil where no CA is named", function()
    local asked = {}
    local a = attempt({ on_identity = function(...) asked = table.pack(...) end }, { client_auth = "request", trust = akushu.trust {} })
    assert.is_nil(a.failure)
    assert.is_nil(asked[1])
    assert.equal("certificate_request", asked[3].type)
  end)

  it("sees a name that is none by its bytes, and no further than lengths go", function()
    local list = require("akushu.core").distinguished_names("\0\3a\1b\0\0\0\9x")
    assert.same({ "a\\01b", "", der = { "a\1b", "" }, bytes = "\0\3a\1b\0\0\0\9x" }, list)
  end)

  it("may not answer with a list", function()
    local _, b = attempt({}, { on_identity = function() return { certs.ecdsa().identity } end })
    assert.equal("hook_failed", b.failure.code)
    assert.equal("on_identity must return one identity or nil; it returned a list", b.failure.error)
  end)

  it("that has none for a name is told to be the reason", function()
    for version, code in pairs { ["1.3"] = "no_identity", ["1.2"] = "no_shared_suite" } do
      local _, b = attempt({ versions = version }, { identity = {}, on_identity = function() end })
      assert.equal(code, b.failure.code)
      assert.matches("the application has none for this server name", b.failure.message)
    end
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
