-- Whatever is handed to a function of the laboratory: what is wrong is told at the line of who called, in words about the argument.
local akushu = require "akushu"
local passive, pcap, show, mutations, wire = require "akushu.passive", require "akushu.pcap", require "akushu.show", require "akushu.mutations", require "akushu.wire"

local lab = akushu.lab { seed = "misuse" }
local function nothing() end
local wrong = { 1, 1.5, true, "x", {}, nothing, io.stdout, coroutine.create(print), { a = 1 }, { {} }, "\255\254\0", -1, false, { 1, 2 } }

-- Lines in which Lua, not akushu, says what it cannot do with a value.
local lua_says = { "attempt to", "for iterator", "bad 'for'" }

local function check(what, message)
  assert.matches("^[^:]*misuse_spec.lua:%d+: ", message, nil, nil, what)
  for _, text in ipairs(lua_says) do assert.not_matches(text, message, nil, nil, what) end
end

-- f with every wrong value, and every pair of them; what it raises must be the caller's.
local function sweep(what, f, alone)
  for i = 0, #wrong do
    for j = 0, alone and 0 or #wrong do
      local ok, message = pcall(function()
        local a, b = f(wrong[i], wrong[j])
        return a, b
      end)
      if not ok then check(what, tostring(message)) end
    end
  end
end

local function method(object, name) return function(...) return object[name](object, ...) end end

describe("misuse is told where it happened:", function()
  it("a lab's methods", function()
    for _, name in ipairs { "left", "random", "key", "ca", "issue", "identity", "client", "server", "run", "attempt", "compare", "give", "advance" } do
      local l = akushu.lab { seed = name }
      for i = 0, #wrong do
        local ok, message = pcall(function()
          local made = l[name](l, wrong[i])
          return made
        end)
        if not ok then check("lab:" .. name, tostring(message)) end
      end
    end
    for _, option in ipairs { "data", "close", "chunk", "network", "session", "server_name", "trace" } do
      local l = akushu.lab { seed = option }
      local client, server = l:client {}, l:server {}
      sweep("lab:run " .. option, function(v)
        local t = l:run(client, server, { [option] = v })
        return t
      end, true)
    end
    for _, option in ipairs { "seed", "random", "clock", "values" } do
      sweep("akushu.lab " .. option, function(v)
        local l = akushu.lab { [option] = v }
        return l
      end, true)
    end
  end)

  it("a trace's", function()
    local t = lab:run(lab:client {}, lab:server {})
    for _, name in ipairs { "text", "secret", "explain", "mutations", "watch", "operations" } do sweep("trace:" .. name, method(t, name)) end
    for _, name in ipairs { "script", "readable" } do sweep("trace:" .. name, method(t, name), true) end
    for _, option in ipairs { "from", "message", "each", "count", "seed" } do
      sweep("trace:mutations " .. option, function(v)
        local list = t:mutations({ "drop", "bitflip" }, { [option] = v })
        return list
      end, true)
    end
  end)

  it("what shows, reads captures, lists mutations, walks nodes", function()
    for _, name in ipairs { "to_hex", "from_hex", "hex", "value", "message", "annotated" } do sweep("show." .. name, show[name]) end
    for _, name in ipairs { "new", "keylog" } do sweep("passive." .. name, passive[name], true) end
    for _, name in ipairs { "read", "pcap" } do sweep("passive." .. name, passive[name]) end
    for _, name in ipairs { "packets", "streams" } do sweep("pcap." .. name, pcap[name], true) end
    for _, name in ipairs { "new", "shrink", "apply", "list" } do sweep("mutations." .. name, mutations[name]) end
    for _, name in ipairs { "get", "set", "annotate", "span", "spans", "decode", "encode" } do sweep("wire." .. name, wire[name]) end
  end)

  it("a script's", function()
    sweep("akushu.script", akushu.script)
    sweep("akushu.script lab", function(v)
      local s = akushu.script("client", nothing, { lab = v })
      return s
    end, true)
    sweep("script:run", method(akushu.script("client", nothing), "run"))
  end)

  it("a script's peer's", function()
    local nobody = { send = function() end, receive = function() return nil, "closed" end }
    local function in_script(what, f)
      for i = 0, #wrong do
        local _, message, failure = akushu.script("client", function(peer)
          local got = f(peer, wrong[i])
          return got
        end, { lab = lab }):run(nobody)
        if failure and failure.code == "script_failed" and not tostring(message):find "^keys: " then check(what, tostring(message)) end
      end
    end
    for _, name in ipairs { "send", "receive", "expect", "try", "expect_alert", "expect_close", "client_hello", "server_hello", "share", "finished", "is_finished", "premaster_for",
      "premaster_in", "engine", "steps", "random" } do
      in_script(name, function(peer, v)
        local got = peer[name](peer, v)
        return got
      end)
    end
    in_script("client_hello, no table", function(peer)
      local hello = peer:client_hello "x"
      return hello
    end)
    for _, option in ipairs { "groups", "shares", "more", "fields" } do
      in_script("client_hello " .. option, function(peer, v)
        local hello = peer:client_hello { [option] = v, versions = { "TLS 1.3" } }
        return hello
      end)
    end
    for _, field in ipairs { "alert", "data", "raw", "content_type", "bytes" } do
      in_script("send " .. field, function(peer, v)
        local m = { content_type = field == "bytes" and 22 or nil }
        m[field] = v
        peer:send(m)
      end)
    end
    for _, name in ipairs { "finished", "protection", "protection_of" } do
      in_script("keys:" .. name, function(peer, v)
        local got = peer.keys[name](peer.keys, v, "")
        return got
      end)
    end
  end)

  it("with what it should have been", function()
    for said, fn in pairs {
      ["lab:key: no such kind of key: \"no kind\""] = function() lab:key "no kind" end,
      ["lab:run: option 'chunk': a number of bytes expected, got 0"] = function() lab:run(lab:client {}, lab:server {}, { chunk = 0 }) end,
      ["lab:run: option 'early': "] = function() lab:run(lab:client {}, lab:server {}, { early = "x" }) end,
      ["lab:run: unknown option 'dat'; did you mean 'data'?"] = function() lab:run(lab:client {}, lab:server {}, { dat = "x" }) end,
      ["lab:attempt: a list of mutations expected, got string"] = function() lab:attempt(nothing, "drop") end,
      ["mutation: 'bit': a number up to 7 expected, got 8"] = function() mutations.new { kind = "bitflip", from = "client", n = 1, bit = 8 } end,
      ["show.from_hex: hexadecimal digits expected, got nil"] = function() show.from_hex() end,
    } do
      local ok, message = pcall(fn)
      assert.is_false(ok)
      assert.matches(said, message, 1, true)
      check(said, message)
    end
  end)
end)
