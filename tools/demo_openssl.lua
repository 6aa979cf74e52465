-- The second half of `make demo`: a real handshake over loopback. `openssl s_server` plays the server with a certificate of a CA made
-- for the occasion; examples/client.lua is the client, once with that CA and once without it.
package.path = "./?.lua;" .. package.path
local certs = require "spec.support.certs"
local peers = require "spec.support.peers"

local identity = certs.rsa()
local server = peers.openssl_server { chain = identity.chain, key = identity.key, args = { "-www" } }
print(("\n== A real peer: `openssl s_server` on 127.0.0.1:%d"):format(server.port))

local function run(title, arguments)
  print("\n-- " .. title)
  local words = { "lua5.4", "examples/client.lua", "--server-name", "localhost" }
  for _, word in ipairs(arguments) do words[#words + 1] = word end
  words[#words + 1] = "127.0.0.1:" .. server.port
  print("$ " .. table.concat(words, " "))
  for i, word in ipairs(words) do words[i] = peers.quote(word) end
  io.stdout:flush()
  local pipe = assert(io.popen(table.concat(words, " ") .. " 2>&1"))
  local text = pipe:read "a"
  local ok = pipe:close()
  -- s_server's page is long: the connection is what matters here.
  local head, body = text:match "^(.*HTTP/1.-\r?\n\r?\n)(.*)$"
  print(((head or text):gsub("%s+$", "") .. (body and ("\n(and %d bytes of page)"):format(#body) or "")))
  return ok == true
end

local trusted = run("With the CA that vouches for it: the whole story, TLS 1.2 with RSA key exchange",
  { "--ca", identity.ca, "--profile", "classic", "--show" })
local stranger = run("Without it: the warning, and no connection", { "--profile", "classic" })
server:stop()
if not trusted or stranger then
  print "\nThis is not what should have happened."
  os.exit(1)
end
print "\nAs it should be: the first went through, the second was refused."
