-- hs:fork(): copies of a handshake, made at every point where it waits for its peer, each of which goes on by itself.
local akushu = require "akushu"

local cases = {
  { "TLS 1.2, ECDHE", { max_version = "1.2" } },
  { "TLS 1.2, RSA key exchange and CBC", { profile = "classic", max_version = "1.2", suites = { "TLS_RSA_WITH_AES_128_CBC_SHA" } } },
  { "TLS 1.2, DHE", { max_version = "1.2", suites = { "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256" } }, key = "rsa" },
  { "TLS 1.3", { versions = "1.3" } },
  { "TLS 1.3 with client authentication", { versions = "1.3" }, auth = true },
  { "TLS 1.2 with client authentication", { max_version = "1.2" }, auth = true },
  { "TLS 1.3 with HelloRetryRequest", { versions = "1.3" }, client = { groups = { "x25519", "secp256r1" }, key_shares = { "x25519" } },
    server = { groups = { "secp256r1" } } },
}

local function with(a, b)
  local out = {}
  for k, v in pairs(a) do out[k] = v end
  for k, v in pairs(b or {}) do out[k] = v end
  return out
end

local function pair(case)
  local lab = akushu.lab { seed = case[1] }
  local c, s = with(case[2], case.client), with(case[2], case.server)
  s.key = case.key
  if case.auth then
    c.identity = lab:issue { names = { "client.example" }, purpose = "client" }.identity
    s.client_auth = "require"
  end
  return assert(lab:client(c):handshake { server_name = "localhost" }), assert(lab:server(s):handshake {}), lab
end

-- Runs to the end from where the two stand; `to_server` and `to_client` are what is on the way.
local function finish(client, server, to_server, to_client)
  for _ = 1, 20 do
    local out, message = "", nil
    if #to_server > 0 then out, message = server:step(to_server) end
    if not out then return nil, message end
    to_client, to_server = to_client .. out, ""
    if #to_client > 0 and not client.done then
      out, message = client:step(to_client)
      if not out then return nil, message end
      to_server, to_client = out, ""
    end
    if client.done and server.done then break end
  end
  local c, s = assert(client:session()), assert(server:session())
  if #to_client > 0 then assert(c:open(to_client)) end
  assert(s:open(assert(c:seal "question")) == "question")
  assert(c:open(assert(s:seal "answer")) == "answer")
  return true
end

describe("a forked handshake", function()
  for _, case in ipairs(cases) do
    it("goes on from every point, as often as one likes: " .. case[1], function()
      local client, server = pair(case)
      local points, to_server, to_client = 0, assert(client:start()), ""
      while not (client.done and server.done) do
        for _ = 1, 2 do
          local c, s = client, server
          if not c.done then c = assert(client:fork()) end
          if not s.done then s = assert(server:fork()) end
          if c ~= client and s ~= server then
            points = points + 1
            assert.is_true(finish(c, s, to_server, to_client))
          end
        end
        if #to_server > 0 then
          to_client = to_client .. assert(server:step(to_server))
          to_server = ""
        end
        if #to_client > 0 and not client.done then
          to_server = assert(client:step(to_client))
          to_client = ""
        end
      end
      assert.is_true(points >= 2)
    end)
  end

  it("is independent: what happens to one does not happen to the other", function()
    local client, server = pair(cases[1])
    local hello = assert(client:start())
    local flight = assert(server:step(hello))
    local a, b = assert(client:fork()), assert(client:fork())
    assert.is_nil((a:step(flight:sub(1, 60) .. string.char(flight:byte(61) ~ 1) .. flight:sub(62))))
    assert.is_true(a.failed)
    assert.is_false(b.failed)
    assert.is_true(finish(b, assert(server:fork()), assert(b:step(flight)), ""))
    client:close()
    a:close()
    collectgarbage()
    collectgarbage()
  end)

  it("has the hooks of the first one, and its own", function()
    local client, server = pair(cases[1])
    local seen = {}
    client:on("receive", "server_hello", function() seen[#seen + 1] = "first" end)
    local flight = assert(server:step(assert(client:start())))
    local copy = assert(client:fork()):on("receive", "server_hello", function() seen[#seen + 1] = "copy" end)
    assert(copy:step(flight))
    assert.same({ "first", "copy" }, seen)
    assert(client:step(flight))
    assert.same({ "first", "copy", "first" }, seen)
  end)

  it("tries what a server answers to each next message, from one point", function()
    local client, server = pair(cases[1])
    assert(server:step(assert(client:start())))
    local answers = {}
    for _, kind in ipairs { 1, 11, 16, 20 } do
      local s = assert(server:fork())
      local _, _, failure = s:step("\x16\3\3" .. string.pack(">s2", string.char(kind, 0, 0, 0)))
      answers[#answers + 1] = failure.alert
    end
    assert.same({ "unexpected_message", "unexpected_message", "decode_error", "unexpected_message" }, answers)
    assert.equal("wait_client_key_exchange", server.state)
  end)

  it("is refused when there is nothing to go on from", function()
    local client, server = pair(cases[1])
    local flight = assert(server:step(assert(client:start())))
    local inside
    client:on("receive", "server_hello", function() inside = pcall(client.fork, client) end)
    assert(client:step(flight))
    assert.is_false(inside)
    server:abort()
    local copy, _, failure = server:fork()
    assert.is_nil(copy)
    assert.equal("not_ready", failure.code)
  end)
end)
