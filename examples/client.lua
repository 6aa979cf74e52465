-- A TLS client in one page: HTTP GET over akushu and LuaSocket.
--
--   lua5.4 examples/client.lua example.com:443 /
--   lua5.4 examples/client.lua --ca ca.pem --profile classic --show localhost:4433
local here = arg[0]:match "^(.*/)" or "./"
local support = dofile(here .. "support.lua")
local akushu, socket = support.require "akushu", support.require "socket"
local tls = require "akushu.adapters.socket"

local usage = [[
usage: client.lua [options] HOST:PORT [PATH]
GETs PATH (/ by default); the response goes to standard output, what is said about the connection to standard error.

  --ca FILE          trust the CAs in this PEM file instead of the system's; may be repeated
  --insecure         verify nothing
  --ask              show the warning about an untrusted certificate and ask whether to go on
  --server-name NAME the name to ask for and to check, when it is not HOST
  --cert FILE        our own certificate chain (PEM), for servers that ask for one ...
  --key FILE         ... and its private key
  --password TEXT    of the private key
  --session FILE     resume the session in FILE if there is one, and keep the new one there (it holds a secret)
  --show             tell every message of the handshake
]] .. support.common_usage

local spec = { ca = "list", insecure = "flag", ask = "flag", ["server-name"] = "value", session = "value", show = "flag" }
for name, kind in pairs(support.common_options) do spec[name] = kind end
local options, words = support.options(arg, spec, usage)
local misuse, die = support.misuse, support.die
if not words[1] then misuse "HOST:PORT is missing" end
if words[3] then misuse("what is %s?", words[3]) end
local host, port = support.address(words[1], 1)
local path = words[2] or "/"
if not path:find "^/[^%c ]*$" then misuse "a PATH begins with / and has neither blanks nor control characters" end
local server_name = options.server_name or host
local patience = support.seconds(options, 30)

local function say(...) io.stderr:write(string.format(...), "\n") end

-- What the client is willing to do, made once; any number of connections could share it.
local o = support.context_options(options)
local warned
if options.insecure then
  o.verify = false
else
  if options.ca then
    o.trust = support.check(akushu.trust { file = options.ca })
  else
    o.trust = support.check(akushu.trust.system())
  end
  -- Like a browser's warning: the report says what is wrong, and somebody decides.
  function o.on_untrusted(report)
    say("%s", tostring(report))
    warned = true
    if not options.ask then return false end
    io.stderr:write "Go on all the same? [y/N] "
    return (io.read "l" or ""):lower():match "^%s*y" ~= nil
  end
end
if options.insecure and (options.ca or options.ask) then misuse(("--insecure verifies nothing: %s has no effect beside it"):format(options.ca and "--ca" or "--ask")) end
if options.chain then misuse "a client shows a --cert" end
if (options.key or options.password) and not options.cert then misuse "--key and --password go with --cert" end
if options.cert then o.identity = support.identity(akushu, options.cert, options) end
local client = support.blame(akushu.client, o)

local resume
local kept = options.session and support.read(options.session)
if kept and kept ~= "" then
  local problem
  resume, problem = akushu.resumption(kept)
  if not resume then say("%s: %s; a full handshake then", options.session, problem) end
end
-- The connection, with patience for the whole: what is left of it is each call's.
local deadline = socket.gettime() + patience
local sock = support.check(socket.tcp())
local conn = support.check(support.blame(tls.wrap, sock, client, { server_name = server_name, session = resume, handshake_timeout = patience }))
sock:settimeout(patience)
do
  local ok, err = sock:connect(host, port)
  if not ok then die("%s:%d: %s", host, port, err) end
end

local function left() return math.max(deadline - socket.gettime(), 0) end

if options.show then
  for gate, arrow in pairs { send = "-->", receive = "<--" } do
    conn.hs:on(gate, "*", function(message, event)
      say("%s %s", arrow, support.summary(message, event))
    end)
  end
end

conn:settimeout(left())
local ok, message, failure = conn:handshake() -- if it fails, the peer has been told why
if conn.report and not warned and not options.insecure then say("%s", tostring(conn.report)) end
if not ok then die("failed: %s", support.explain(message, failure)) end
say("%s", support.describe(conn))
if options.insecure then say "nothing was verified" end

-- The request, and all of the answer until the server says that it is complete.
local request = ("GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: akushu\r\nConnection: close\r\n\r\n"):format(path, server_name)
conn:settimeout(left())
support.check(conn:send(request))

-- Of the answer its beginning is kept, and its length: it may be larger than memory.
local beginning, received = "", 0
while true do
  conn:settimeout(left())
  local plain
  plain, message, failure = conn:receive_some()
  if not plain then break end
  if #beginning < 65536 then beginning = beginning .. plain end
  received = received + #plain
  io.stdout:write(plain)
end
io.stdout:flush()
if failure.code == "truncated" then
  -- HTTP may know better: with all of Content-Length there, nothing can be missing.
  local head = beginning:match "^.-\r\n\r\n"
  local length = head and tonumber(head:match "\r\n[Cc]ontent%-[Ll]ength:%s*(%d+)")
  if not length or received - #head ~= length then die("failed: %s", support.explain(message, failure)) end
  say "the server left without close_notify, but the response is complete"
elseif failure.code ~= "closed" then
  die("failed: %s", support.explain(message, failure))
end

local resumption = options.session and conn:resumption()
conn:close() -- close_notify; the keys are destroyed
if resumption then support.keep(options.session, resumption:serialize()) end
