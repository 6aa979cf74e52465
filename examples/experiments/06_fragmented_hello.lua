-- A ClientHello cut at every byte.
--
-- A handshake message may be spread over records as the sender likes (RFC 8446 §5.1); some middleboxes and servers believe that a ClientHello
-- comes in one, and some filters can be walked past by that. Every cut in two must be as good as none, and so must records of one byte; an
-- empty record of a handshake's type is an error in TLS 1.3.
package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local lib = require "lib"
local akushu = require "akushu"

local function cut(hello, sizes)
  local body, head, out, at = hello:sub(6), hello:sub(1, 3), {}, 1
  for _, size in ipairs(sizes) do
    out[#out + 1] = head .. string.pack(">s2", body:sub(at, at + size - 1))
    at = at + size
  end
  if at <= #body then out[#out + 1] = head .. string.pack(">s2", body:sub(at)) end
  return table.concat(out)
end

local function ones(n)
  local out = {}
  for i = 1, n do out[i] = 1 end
  return out
end

for _, version in ipairs { "1.2", "1.3" } do
  lib.title("akushu's server, TLS " .. version)
  local lab = akushu.lab { seed = "fragments" }
  local client, server = lab:client { versions = version }, lab:server { versions = version }
  local hello = assert(client:handshake { server_name = "localhost" }:start())
  local n = #hello - 5
  -- The first eleven bytes of the answer say what matters: a record with a ServerHello in it.
  local function answers(bytes)
    local out, message, failure = server:handshake {}:step(bytes)
    if not out then return nil, message, failure end
    return out:byte(1) == 22 and out:byte(6) == 2
  end
  local good = 0
  for at = 1, n - 1 do
    if answers(cut(hello, { at })) then good = good + 1 end
  end
  lib.claim(good == n - 1, "all %d cuts in two records are answered with a ServerHello", n - 1)
  lib.claim(answers(cut(hello, ones(n))), "%d records of one byte, too", n)
  local waits = server:handshake {}:step(cut(hello, { n - 1 }):sub(1, n + 4))
  lib.claim(waits == "", "with one byte missing it waits")
  local _, _, failure = answers(cut(hello, { 0, n }))
  lib.claim(failure == nil or failure.alert == "unexpected_message", "an empty record first: %s", failure and failure.code or "it goes on")

  -- The same by a hook, for a whole handshake.
  local hs = client:handshake { server_name = "localhost" }
  hs:on("send", "client_hello", function(_, ev) ev:fragment { 1, 2, 3, 5, 8, 13, 21, 34 } end)
  local t = lab:run(hs, server)
  lib.claim(t.ok, "a handshake goes through with its ClientHello in nine records")

  local issued = lab:issue { names = { "localhost" } }
  local real = lib.openssl_server(issued)
  if real then
    local answered, asked = 0, 0
    for at = 1, n - 1, 7 do
      local s = real.connect()
      s:send(cut(hello, { at }))
      s:settimeout(lib.patience)
      local bytes = s:receive(6) -- the head of a record and its first byte
      s:close()
      asked = asked + 1
      if bytes and bytes:byte() == 22 and bytes:byte(6) == 2 then answered = answered + 1 end
    end
    real.close()
    lib.claim(answered == asked, "openssl s_server answers %d of %d such cuts", answered, asked)
  end
end
