-- Real peers as child processes: started on a free port of 127.0.0.1, watched, and ended whatever happens (spec/support/keep).
local socket = require "socket" -- also makes a broken pipe an error instead of the end of this process

local peers = {}

-- How long anything may take that has to come, in seconds: it ends a wait for what never will, and says nothing about how fast a machine is. Waits count how often
-- they have looked and not the time: what a process does not have for itself (a clock that is set, a machine that stands still) is none of its time.
peers.patience = 90
local pause = 0.02

local here = debug.getinfo(1, "S").source:match "^@(.-)[^/]*$"
local keep -- the script beside this file, by a name that is right in any directory

function peers.quote(s)
  return "'" .. tostring(s):gsub("'", "'\\''") .. "'"
end

local function read_file(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text
end
peers.read_file = read_file

-- What a command says on its standard output.
function peers.output(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read "a"
end

-- A directory of this process's own; gone when it ends.
local base
local function base_dir()
  if not base then
    local path = peers.output("mktemp -d /tmp/akushu-spec.XXXXXX"):match "[^\n]+"
    base = setmetatable({ path = assert(path, "no temporary directory"), count = 0 }, {
      __gc = function(self) os.execute("rm -rf " .. peers.quote(self.path)) end,
    })
  end
  return base
end

-- A fresh directory below it.
function peers.tmpdir()
  local b = base_dir()
  b.count = b.count + 1
  local path = ("%s/%d"):format(b.path, b.count)
  assert(os.execute("mkdir -p " .. path))
  return path
end

-- Writes text to a new temporary file and returns its path.
function peers.tmpfile(text, name)
  local path = peers.tmpdir() .. "/" .. (name or "file")
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
  return path
end

-- Waits until probe() gives something; nil when it never does. seconds: more than peers.patience, for what is known to be slow.
function peers.wait_for(probe, seconds)
  for _ = 1, (seconds or peers.patience) // pause do
    local got = probe()
    if got then return got end
    socket.sleep(pause)
  end
  return probe()
end

-- A port for a server that cannot say which one the kernel has given it: nobody listens on it, and no other spec gets it before `claim`, a UDP socket of that number,
-- is closed (or its process has ended). Below the range that the kernel usually gives to outgoing connections.
local function claim_port()
  for _ = 1, 1000 do
    local port = math.random(12000, 31000)
    local claim, probe = assert(socket.udp4()), assert(socket.tcp4())
    assert(probe:setoption("reuseaddr", true))
    local free = claim:setsockname("127.0.0.1", port) and probe:bind("*", port)
    probe:close()
    if free then return port, claim end
    claim:close()
  end
  error "no free port"
end

-- A port of 127.0.0.1 on which nobody will listen as long as the second result, a socket that is bound and no more, is open.
function peers.closed_port()
  local holder = assert(socket.tcp4())
  assert(holder:bind("127.0.0.1", 0))
  return math.tointeger(tonumber((select(2, holder:getsockname())))), holder
end

local process = {}
process.__index = process

-- peers.spawn{ command…, input = text, pipe = true, dir = cwd, env = {NAME=value} }
-- Standard input: `input`, or with `pipe` whatever proc:write() gives, or nothing. What it says is in the C locale.
function peers.spawn(spec)
  local dir = peers.tmpdir()
  local words = {}
  for i, word in ipairs(spec) do words[i] = peers.quote(word) end
  if spec.env then
    local env = {}
    for k, v in pairs(spec.env) do env[#env + 1] = peers.quote(k .. "=" .. v) end
    table.insert(words, 1, "env " .. table.concat(env, " "))
  end
  local self = setmetatable({ dir = dir, command = table.concat(words, " ") }, process)
  if spec.pipe then
    assert(os.execute("mkfifo " .. dir .. "/in"))
  elseif spec.input then
    local file = assert(io.open(dir .. "/input", "wb"))
    assert(file:write(spec.input))
    assert(file:close())
  end
  local cd = spec.dir and ("cd " .. peers.quote(spec.dir) .. " && ") or ""
  keep = keep or peers.output("readlink -f " .. peers.quote(here .. "keep")):match "[^\n]+"
  self.lifeline = assert(io.popen(("%sexec %s %s %s"):format(cd, peers.quote(keep), dir, self.command), "w"))
  self.lifeline:setvbuf "no"
  if spec.pipe then
    self.stdin = assert(io.open(dir .. "/in", "wb")) -- meets the command's open
    self.stdin:setvbuf "no"
  end
  return self
end

function process:log() return read_file(self.dir .. "/log") or "" end

-- The exit code once it has ended, else nil.
function process:code() return tonumber(read_file(self.dir .. "/code") or "") end

function process:write(text) return self.stdin:write(text) end

-- End of standard input.
function process:finish_input()
  if self.stdin then
    self.stdin:close()
    self.stdin = nil
  end
end

-- Waits until the log holds a Lua pattern; returns its captures. nil, log: it has ended, or never says so.
function process:wait_log(pattern, seconds)
  local log
  peers.wait_for(function()
    local ended = self:code()
    log = self:log()
    return ended or log:find(pattern)
  end, seconds)
  if log:find(pattern) then return log:match(pattern) end
  return nil, log
end

-- Waits until it has ended by itself; returns its exit code, or nil: it does not.
function process:wait(seconds)
  return peers.wait_for(function() return self:code() end, seconds)
end

-- Ends it (if it still runs); afterwards the log is whole.
function process:stop()
  self:finish_input()
  if self.lifeline then
    self.lifeline:close()
    self.lifeline = nil
  end
  if self.claim then
    self.claim:close()
    self.claim = nil
  end
  return self
end

-- Takes it away without a word, as a crash would: no close_notify, just the end of its sockets.
function process:kill()
  local group = peers.wait_for(function() return tonumber(read_file(self.dir .. "/group") or "") end)
  os.execute(("kill -KILL -%d"):format(assert(group, "it has not begun")))
  assert(self:wait(), "it outlives SIGKILL")
end

process.__close = process.stop
process.__gc = process.stop

-- Starts a server given by fn(port) → spawn table; `ready` is a pattern of its log, or a function(proc). A port may have been taken in
-- between by who is none of ours: it tries again when the server has ended.
local function start_server(fn, ready)
  local last
  for _ = 1, 8 do
    local port, claim = claim_port()
    local proc = peers.spawn(fn(port))
    proc.port, proc.claim = port, claim
    local up
    if type(ready) == "string" then
      up = proc:wait_log(ready)
    else
      up = peers.wait_for(function() return proc:code() and "ended" or ready(proc) end)
      if up == "ended" then up = nil end
    end
    if up then return proc end
    local ended = proc:code()
    last = proc:stop():log()
    if not ended then break end
  end
  error("the server did not start: " .. tostring(last), 2)
end
peers.start_server = start_server

-- Whether somebody listens on its port: a server that says nothing when it is ready.
function peers.connectable(proc)
  local s = assert(socket.tcp4())
  s:settimeout(peers.patience)
  local ok = s:connect("127.0.0.1", proc.port)
  s:close()
  return ok
end
local connectable = peers.connectable

local function with_args(words, args)
  for _, word in ipairs(args or {}) do words[#words + 1] = word end
  return words
end

-- Whether a program is there at all.
function peers.have(program)
  return (os.execute("command -v " .. peers.quote(program) .. " >/dev/null 2>&1")) == true
end

-- What follows the end entity in a chain file, as a file of its own; nil when there is nothing.
local function intermediates(chain)
  local rest = read_file(chain):match "%-%-%-%-%-END CERTIFICATE%-%-%-%-%-\n(.*)$"
  if rest and rest:find("BEGIN CERTIFICATE", 1, true) then return peers.tmpfile(rest, "intermediates.pem") end
end

-- openssl s_server. o: chain, key (PEM file names), args, pipe (data by proc:write and proc:log).
-- The chain file holds the end entity first; what follows it is sent too.
function peers.openssl_server(o)
  local between = intermediates(o.chain)
  return start_server(function(port)
    local words = { "openssl", "s_server", "-accept", "127.0.0.1:" .. port, "-cert", o.chain, "-key", o.key }
    if between then with_args(words, { "-cert_chain", between }) end
    with_args(words, o.args)
    words.pipe, words.dir = o.pipe, o.dir
    return words
  end, o.quiet and connectable or "ACCEPT")
end

-- openssl s_client. o: port, ca, args, input / pipe, server_name.
function peers.openssl_client(o)
  local words = { "openssl", "s_client", "-connect", "127.0.0.1:" .. o.port, "-servername", o.server_name or "localhost",
    "-CAfile", o.ca, "-verify_return_error", "-verify_hostname", o.server_name or "localhost" }
  with_args(words, o.args)
  words.pipe, words.input = o.pipe, o.input
  return peers.spawn(words)
end

-- gnutls-serv (--http by itself; --echo in args for an echo). o: chain, key, priority, args.
function peers.gnutls_server(o)
  return start_server(function(port)
    local words = { "gnutls-serv", "--port", port, "--x509certfile", o.chain, "--x509keyfile", o.key }
    if o.priority then with_args(words, { "--priority", o.priority }) end
    with_args(words, o.args)
    return words
  end, "istening on IPv4[^\n]*done")
end

-- gnutls-cli. o: port, ca, priority, args, input / pipe, server_name.
function peers.gnutls_client(o)
  local name = o.server_name or "localhost"
  local words = { "gnutls-cli", "--port", o.port, "--x509cafile", o.ca, "--sni-hostname", name, "--verify-hostname", name }
  if o.priority then with_args(words, { "--priority", o.priority }) end
  with_args(words, o.args)
  words[#words + 1] = "127.0.0.1"
  words.pipe, words.input = o.pipe, o.input
  return peers.spawn(words)
end

-- nginx in a directory of its own. o: chain, key, server (more lines for the server block), http (more lines for the http block),
-- files = {name = text} below its root.
function peers.nginx(o)
  local dir = peers.tmpdir()
  assert(os.execute(("mkdir -p %s/root %s/tmp"):format(dir, dir)))
  for name, text in pairs(o.files or {}) do
    local file = assert(io.open(dir .. "/root/" .. name, "wb"))
    assert(file:write(text))
    assert(file:close())
  end
  local proc = start_server(function(port)
    local conf = assert(io.open(dir .. "/nginx.conf", "w"))
    local text = ([[
%s
daemon off;
master_process off;
worker_processes 1;
pid DIR/nginx.pid;
error_log stderr info;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path DIR/tmp/body; proxy_temp_path DIR/tmp/proxy; fastcgi_temp_path DIR/tmp/fastcgi;
  uwsgi_temp_path DIR/tmp/uwsgi; scgi_temp_path DIR/tmp/scgi;
  client_max_body_size 64m;
  keepalive_timeout 5;
  %s
  server {
    listen 127.0.0.1:%d ssl %s;
    server_name localhost;
    ssl_certificate %s;
    ssl_certificate_key %s;
    root DIR/root;
    %s
  }
}
]]):format(peers.is_root() and "user root;" or "", o.http or "", port, o.listen or "", o.chain, o.key, o.server or ""):gsub("DIR", dir)
    assert(conf:write(text))
    assert(conf:close())
    return { "nginx", "-p", dir, "-c", dir .. "/nginx.conf", "-e", "stderr" }
  end, connectable)
  proc.root = dir .. "/root"
  return proc
end

function peers.is_root() return peers.output "id -u" == "0\n" end

-- curl against https://localhost:PORT/path. o: port, ca, path, args, server_name.
function peers.curl(o)
  local name = o.server_name or "localhost"
  local words = { "curl", "--disable", "--silent", "--show-error", "--no-progress-meter", "--max-time", tostring(peers.patience), "--noproxy", "*",
    "--resolve", ("%s:%d:127.0.0.1"):format(name, o.port), "--cacert", o.ca }
  with_args(words, o.args)
  words[#words + 1] = ("https://%s:%d%s"):format(name, o.port, o.path or "/")
  words.input = o.input
  return peers.spawn(words)
end

-- NSS: a new database with CAs (PEM files) trusted and identities (PKCS#12 files without a password) in it; returns its directory.
function peers.nss_database(o)
  local dir = peers.tmpdir()
  local function run(...)
    local words = {}
    for i, word in ipairs { ... } do words[i] = peers.quote(word) end
    local pipe = io.popen(table.concat(words, " ") .. " 2>&1")
    local out = pipe:read "a"
    local ok = pipe:close()
    if not ok then error(table.concat(words, " ") .. ": " .. out, 3) end
  end
  run("certutil", "-N", "-d", "sql:" .. dir, "--empty-password")
  for i, file in ipairs(o.cas or {}) do run("certutil", "-A", "-d", "sql:" .. dir, "-n", "ca" .. i, "-t", "CT,CT,", "-i", file) end
  for _, file in ipairs(o.identities or {}) do run("pk12util", "-i", file, "-d", "sql:" .. dir, "-W", "") end
  return dir
end

-- A PKCS#12 file without a password, for NSS.
function peers.pkcs12(chain, key, name)
  local out = peers.tmpdir() .. "/identity.p12"
  local command = ("openssl pkcs12 -export -in %s -inkey %s -name %s -passout pass: -out %s 2>&1"):format(
    peers.quote(chain), peers.quote(key), peers.quote(name), out)
  local pipe = io.popen(command)
  local text = pipe:read "a"
  if not pipe:close() then error(command .. ": " .. text, 2) end
  return out
end

-- NSS selfserv, which says much (-v). o: database, name (nickname), versions ("tls1.2:tls1.2"), tickets = false, args.
function peers.nss_server(o)
  return start_server(function(port)
    local words = { "selfserv", "-v", "-d", "sql:" .. o.database, "-n", o.name, "-p", port, "-V", o.versions or "tls1.2:tls1.3" }
    if o.tickets ~= false then words[#words + 1] = "-u" end
    words.env = { NSS_SDB_USE_CACHE = "no" }
    return with_args(words, o.args)
  end, connectable)
end

-- NSS tstclnt, which says much (-v). o: database, port, server_name, versions, tickets = false, args, input / pipe.
function peers.nss_client(o)
  local words = { "tstclnt", "-v", "-h", "127.0.0.1", "-a", o.server_name or "localhost", "-p", o.port, "-d", "sql:" .. o.database,
    "-V", o.versions or "tls1.2:tls1.3" }
  if o.tickets ~= false then words[#words + 1] = "-u" end
  with_args(words, o.args)
  words.pipe, words.input = o.pipe, o.input
  return peers.spawn(words)
end

-- A script of this project as a process of its own (examples/server.lua …), with this process's module paths.
function peers.lua(o)
  local words = { "lua5.4" }
  with_args(words, o)
  words.pipe, words.input, words.env = o.pipe, o.input, { LUA_PATH = package.path, LUA_CPATH = package.cpath }
  return peers.spawn(words)
end

return peers
