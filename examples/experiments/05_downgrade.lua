-- The downgrade sentinel (RFC 8446 §4.1.3).
--
-- Somebody on the wire takes the extension supported_versions out of a ClientHello: client and server could speak TLS 1.3 and are made to
-- speak 1.2. In the end Finished would show it; with a broken key exchange of an old version it would not. So a server that could do 1.3
-- and speaks 1.2 signs a warning: the last eight bytes of its random are "DOWNGRD" and 01. A client that offered 1.3 stops there.
package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local lib = require "lib"
local akushu = require "akushu"
local wire = akushu.wire

-- Rewrites the ClientHello on its way, as somebody between the two would.
local function without_1_3(from, bytes)
  if from ~= "client" or bytes:byte() ~= 22 or bytes:byte(6) ~= 1 then return bytes end
  local hello = wire.decode(bytes:sub(6), { what = "handshake", from = "client" })
  for _, name in ipairs { "supported_versions", "key_share", "psk_key_exchange_modes" } do
    if hello.extensions:find(name) then hello.extensions:remove(name) end
  end
  return bytes:sub(1, 3) .. string.pack(">s2", wire.encode(hello))
end

local lab = akushu.lab { seed = "downgrade" }

lib.title "Nobody in between"
local t = lab:run(lab:client {}, lab:server {})
lib.claim(t.ok and t.client.session.version == "1.3", "client and server speak TLS %s", t.client.session.version)

lib.title "Somebody takes TLS 1.3 out of the ClientHello"
t = lab:run(lab:client {}, lab:server {}, { network = without_1_3 })
print(t)
local random = t:find("message", "server_hello").message.random
lib.claim(random:sub(-8) == "DOWNGRD\1", "the server's random ends in DOWNGRD, 01")
lib.claim(t.client.failure.code == "downgrade_detected" and t.client.failure.alert == "illegal_parameter", "the client sees it: %s", t.client.message)

lib.title "The same, to a client that never offered TLS 1.3"
t = lab:run(lab:client { max_version = "1.2" }, lab:server {})
random = t:find("message", "server_hello").message.random
lib.claim(t.ok and random:sub(-8) == "DOWNGRD\1", "the sentinel is there and means nothing: no downgrade took place")

lib.title "And to a server that cannot do better"
t = lab:run(lab:client {}, lab:server { max_version = "1.2" })
random = t:find("message", "server_hello").message.random
lib.claim(t.ok and random:sub(-8, -2) ~= "DOWNGRD", "no sentinel, and TLS %s it is", t.client.session.version)

lib.title "Without the sentinel"
-- A server that does not know of it: the random is made by a hook. What is left is the Finished.
local server = lab:server {}:handshake {}
server:on("compose", "server_hello", function(msg) msg.random = ("r"):rep(32) end)
t = lab:run(lab:client {}, server, { network = without_1_3 })
print(t)
lib.claim(not t.ok, "still no connection: the two have not seen the same ClientHello (%s)", t.server.failure and t.server.failure.code or
  t.client.failure.code)
