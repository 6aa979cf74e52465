-- A TLS client in one page: HTTP GET over akushu and LuaSocket.
--
--   lua5.4 examples/client.lua example.com:443 /
--   lua5.4 examples/client.lua --ca ca.pem --profile classic --show localhost:4433
local here = arg[0]:match "^(.*/)" or "./"
local support = dofile(here .. "support.lua")
local akushu, socket = support.require "akushu", support.require "socket"

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
local hs = support.check(support.blame(client.handshake, client, { server_name = server_name, session = resume }))

-- Bytes out and in, with patience for the whole: LuaSocket never blocks, select waits.
local sock = support.check(socket.tcp())
sock:settimeout(patience)
do
  local ok, err = sock:connect(host, port)
  if not ok then die("%s:%d: %s", host, port, err) end
end
sock:settimeout(0)
local deadline = socket.gettime() + patience

local function send(bytes)
  local at = 1
  while at <= #bytes do
    local _, ready = socket.select(nil, { sock }, math.max(deadline - socket.gettime(), 0))
    if not ready[sock] then return nil, "the peer takes no more bytes" end
    local last, err, partial = sock:send(bytes, at)
    if not last and err ~= "timeout" then return nil, err end
    at = (last or partial) + 1
  end
  return true
end

-- At least one byte; "" at the end of the stream.
local function receive()
  while true do
    local ready = socket.select({ sock }, nil, math.max(deadline - socket.gettime(), 0))
    if not ready[sock] then return nil, "the peer says nothing" end
    local data, err, partial = sock:receive(16384)
    data = data or partial
    if data and #data > 0 then return data end
    if err == "closed" then return "" end
    if err ~= "timeout" then return nil, err end
  end
end

-- After a failure the peer is told why; it must have the time to read it (a socket closed with unread bytes resets the connection).
local function fail(pending, message, failure)
  send(pending or "")
  sock:shutdown "send"
  deadline = math.min(deadline, socket.gettime() + 2)
  local drained = 0
  while drained < 262144 do
    local data = receive()
    if not data or data == "" then break end
    drained = drained + #data
  end
  sock:close()
  die("failed: %s", support.explain(message, failure))
end

if options.show then
  for gate, arrow in pairs { send = "-->", receive = "<--" } do
    hs:on(gate, "*", function(message, event)
      say("%s %s", arrow, support.summary(message, event))
    end)
  end
end

-- The handshake.
local out, message, failure = hs:start()
while out do
  send(out) -- a peer that has refused us may be gone: its alert is what we want to read
  if hs.done then break end
  local data, err = receive()
  if not data then die("failed: %s", err) end
  if data == "" then
    out, message, failure = hs:eof()
    if out then out, message = nil, "the peer has gone" end
  else
    out, message, failure = hs:step(data)
  end
end
if hs.report and not warned and not options.insecure then say("%s", tostring(hs.report)) end
if not out then fail(hs:pending(), message, failure) end

local session = hs:session()
say("%s", support.describe(session))
if options.insecure then say "nothing was verified" end

-- The request, and all of the answer until the server says that it is complete.
local request = ("GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: akushu\r\nConnection: close\r\n\r\n"):format(path, server_name)
support.check(send(support.check(session:seal(request))))

-- Of the answer its beginning is kept, and its length: it may be larger than memory.
local beginning, received, data = "", 0, ""
local ended
repeat
  local plain, reply
  plain, reply, failure = session:open(data)
  if not plain then
    if failure.code ~= "closed" then fail(session:pending(), reply, failure) end
    ended = true
  else
    if #beginning < 65536 then beginning = beginning .. plain end
    received = received + #plain
    io.stdout:write(plain)
    send(reply or "")
    -- "" asks once more for what came behind that data: the server's close_notify, perhaps
    data = ""
    if plain == "" then
      local err
      data, err = receive()
      if not data then die("failed: %s", err) end
      if data == "" then
        local ok
        ok, message, failure = session:eof()
        ended = true
        if not ok then
          io.stdout:flush()
          -- HTTP may know better: with all of Content-Length there, nothing can be missing.
          local head = beginning:match "^.-\r\n\r\n"
          local length = head and tonumber(head:match "\r\n[Cc]ontent%-[Ll]ength:%s*(%d+)")
          if not length or received - #head ~= length then die("failed: %s", support.explain(message, failure)) end
          say "the server left without close_notify, but the response is complete"
        end
      end
    end
  end
until ended
io.stdout:flush()

local resumption = options.session and session:resumption()
local goodbye = session:close() -- close_notify; the keys are destroyed
if goodbye then send(goodbye) end
sock:close()
if resumption then support.keep(options.session, resumption:serialize()) end
