-- A TLS server in one page: many clients at once, by coroutines over non-blocking LuaSocket.
--
--   lua5.4 examples/server.lua --listen 127.0.0.1:4433 --www
--   lua5.4 examples/server.lua --listen 127.0.0.1:4433 --chain chain.pem --key key.pem
local here = arg[0]:match "^(.*/)" or "./"
local support = dofile(here .. "support.lua")
local akushu, socket = support.require "akushu", support.require "socket"

local usage = [[
usage: server.lua --listen ADDR:PORT [options]
Echoes what it gets; with --www it answers every GET and HEAD with a page about the connection. Port 0: any free one.

  --chain FILE       certificate chain (PEM), the server's own first; without it the server makes itself an identity ...
  --key FILE         ... and says where it has put the CA to trust, as long as it runs
  --host NAME        for which name that identity is (localhost and the loopback addresses by default)
  --password TEXT    of the private key
  --www              a small web server
  --verify-ca FILE   ask clients for a certificate and verify it against these CAs
  --require-client-cert   no client without one
  --clients N        at most so many at once (200)
  --connections N    end after so many connections
]] .. support.common_usage

local spec = {
  listen = "value", www = "flag", host = "value", ["verify-ca"] = "value", ["require-client-cert"] = "flag", clients = "value",
  connections = "value",
}
for name, kind in pairs(support.common_options) do spec[name] = kind end
local options, words = support.options(arg, spec, usage)
local misuse = support.misuse
if words[1] then misuse("what is %s?", words[1]) end
if not options.listen then misuse "--listen ADDR:PORT is missing" end
local address, port = support.address(options.listen, 0)
local patience = support.seconds(options, 30)
local most_clients = support.count(options, "clients", 200)
-- select has room for so many descriptors, and some are not clients'
if most_clients > socket._SETSIZE - 24 then misuse("--clients %d: at most %d", most_clients, socket._SETSIZE - 24) end
local connections_left = support.count(options, "connections", math.huge)

io.stdout:setvbuf "line"
local function say(...) io.stdout:write(string.format(...), "\n") end

-- ---- the server's own certificate and its context ---------------------------------------------------------------------------

local identity
if options.cert then misuse "a server shows a --chain" end
if (options.key or options.password) and not options.chain then misuse "--key and --password go with --chain" end
if options.chain and options.host then misuse "--host is for the identity that is made without --chain" end
if options.require_client_cert and not options.verify_ca then misuse "--require-client-cert wants --verify-ca" end
local o = support.context_options(options)
if options.verify_ca then
  o.trust = support.check(akushu.trust { file = options.verify_ca })
  o.client_auth = options.require_client_cert and "require" or "request"
end

local ca
if options.chain then
  identity = support.identity(akushu, options.chain, options)
else
  ca = require("akushu.testca").new { key = "rsa:2048" }
  identity = ca:issue({ key = "rsa:2048", names = { options.host or "localhost", "127.0.0.1", "::1" } }).identity
  if options.host and not identity:serves(options.host) then misuse("--host %s is no host name", options.host) end
end
o.identity = identity
local server = support.blame(akushu.server, o)

-- ---- coroutines over select ---------------------------------------------------------------------------------------------------

local waiting = {} -- [socket] = { co, direction, deadline }
local clients = 0

-- In a connection's coroutine: waits until the socket is ready; false when the deadline has come first. This is all that the adapter asks of a loop.
local function wait(sock, direction, deadline)
  waiting[sock] = { co = coroutine.running(), direction = direction, deadline = deadline }
  return coroutine.yield()
end

local tls = require("akushu.adapters.socket").in_loop { wait = wait }

-- ---- one connection --------------------------------------------------------------------------------------------------------------

local function page(conn, peer)
  local rows = {
    { "you", peer },
    { "version", "TLS " .. conn.version },
    { "cipher suite", conn.suite },
    { "key exchange", conn.group or "RSA" },
    { "server name", conn.server_name },
    { "application protocol", conn.alpn },
    { "session", conn.resumed and "resumed" or "new" },
    { "your certificate", conn.peer and conn.peer[1] and conn.peer[1].subject },
    { "spoken by", akushu._VERSION },
  }
  local out = {}
  for i = 1, 9 do
    local name, value = rows[i][1], rows[i][2]
    if value then
      value = tostring(value):gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ["\""] = "&quot;" })
      out[#out + 1] = ("<tr><th>%s</th><td>%s</td></tr>"):format(name, value)
    end
  end
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>akushu</title></head>\n<body><h1>You have shaken hands"
    .. "</h1>\n<table>\n" .. table.concat(out, "\n") .. "\n</table></body></html>\n"
end

local function response(status, kind, body, more)
  return ("HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%sConnection: close\r\n\r\n%s"):format(status, kind, #body, more or "", body)
end

-- All lines of a request up to the empty one; what comes behind it, a body or more requests, is passed over. It gets the time once, or whoever sends a byte now and then
-- would keep its place for ever.
local function read_request(conn)
  local limit, request = socket.gettime() + patience, ""
  repeat
    conn:settimeout(math.max(limit - socket.gettime(), 0))
    local line, message, failure = conn:receive("*l", 16384 - #request)
    if not line then return nil, message, failure end
    request = request .. line .. "\n"
  until line == ""
  return request
end

local function www(conn, peer)
  local request, message, failure = read_request(conn)
  conn:settimeout(patience)
  local answer
  if not request then
    if failure.code ~= "too_long" then return nil, message, failure end
    answer = response("431 Request Header Fields Too Large", "text/plain", "too long\n")
  else
    local method = request:match "^(%u+) %S+ HTTP/1%.%d\n"
    if not method then
      answer = response("400 Bad Request", "text/plain", "this is no request\n")
    elseif method ~= "GET" and method ~= "HEAD" then
      answer = response("405 Method Not Allowed", "text/plain", "only GET and HEAD\n", "Allow: GET, HEAD\r\n")
    else
      answer = response("200 OK", "text/html; charset=utf-8", page(conn, peer))
      if method == "HEAD" then answer = answer:match "^.-\r\n\r\n" end -- RFC 9110 §9.3.2: as for GET, without the content
    end
  end
  return conn:send(answer)
end

-- Data must keep coming: each piece gets the time anew.
local function echo(conn)
  while true do
    local data, message, failure = conn:receive_some()
    if not data then return nil, message, failure end
    local ok
    ok, message, failure = conn:send(data)
    if not ok then return nil, message, failure end
  end
end

local function converse(sock, peer)
  local conn <close> = tls.wrap(sock, server, { timeout = patience, handshake_timeout = patience })
  local ok, message, failure = conn:handshake() -- if it fails, the peer has been told why
  if not ok then return say("%s: handshake failed: %s", peer, support.explain(message, failure)) end
  say("%s: %s", peer, support.describe(conn))
  ok, message, failure = (options.www and www or echo)(conn, peer)
  if not ok and failure.code ~= "closed" then say("%s: %s", peer, support.explain(message, failure)) end
end

local function finish(sock)
  sock:close()
  waiting[sock] = nil
  clients = clients - 1
end

local function resume(co, sock, ...)
  local ok, err = coroutine.resume(co, ...)
  if not ok and tostring(err):find "interrupted!$" then error(err, 0) end
  if not ok then -- a bug, or no memory: this connection's end, not the server's
    io.stderr:write(debug.traceback(co, tostring(err)), "\n")
  end
  if coroutine.status(co) == "dead" then finish(sock) end
end

-- ---- the loop --------------------------------------------------------------------------------------------------------------------

local listener, problem = socket.bind(address, port, 64)
if not listener then support.die("%s: %s", options.listen, problem) end
listener:settimeout(0)

-- Who has no certificate of his own tells whom to trust, in a file. A process of its own waits until this one is gone, however it ends, and removes it.
local cleaner
if ca then
  local file_name = os.tmpname()
  cleaner = support.check(io.popen(("trap '' INT TERM HUP; exec > /dev/null 2>&1; cat; rm -f %s"):format(support.quote(file_name)), "w"))
  local file = support.check(io.open(file_name, "w"))
  support.check(file:write(ca:pem()))
  support.check(file:close())
  say("made an identity for %s; its CA is in %s", options.host or "localhost", file_name)
end

local bound_address, bound_port = listener:getsockname()
say(bound_address:find ":" and "listening on [%s]:%s" or "listening on %s:%s", bound_address, bound_port)

local function serve()
  while connections_left > 0 or clients > 0 do
    local readers, writers, now = {}, {}, socket.gettime()
    local first = now + 1 -- Ctrl-C is noticed between two waits
    if clients < most_clients and connections_left > 0 then readers[1] = listener end
    for sock, w in pairs(waiting) do
      table.insert(w.direction == "read" and readers or writers, sock)
      if w.deadline < first then first = w.deadline end
    end
    local readable, writable = socket.select(readers, writers, math.max(first - now, 0))
    if readable[listener] then
      local sock = listener:accept()
      if sock and sock:getfd() >= socket._SETSIZE then
        sock:close() -- descriptors that others have opened left no room: select would raise
      elseif sock then
        connections_left, clients = connections_left - 1, clients + 1
        sock:setoption("tcp-nodelay", true)
        local peer_address, peer_port = sock:getpeername()
        local peer = ("%s:%s"):format(peer_address or "?", peer_port or "?")
        resume(coroutine.create(converse), sock, sock, peer)
      else
        socket.sleep(0.01) -- out of file descriptors, say: not a reason to spin
      end
    end
    now = socket.gettime()
    local due = {}
    for sock, w in pairs(waiting) do
      if (w.direction == "read" and readable or writable)[sock] then
        due[sock] = true
      elseif w.deadline <= now then
        due[sock] = false
      end
    end
    for sock, ready in pairs(due) do
      local w = waiting[sock]
      waiting[sock] = nil
      resume(w.co, sock, ready)
    end
  end
end

local ended, why = pcall(serve)
if cleaner then cleaner:close() end
if not ended and not tostring(why):find "interrupted!$" then support.die("%s", why) end
