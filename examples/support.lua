-- What the example client and server share: finding akushu beside a fresh build, options, files for secrets, and words for what happened. A mistake of
-- the user's is told in one line on standard error; the program ends with 2 when it lies in the command, with 1 when the world is not as it says.
local here = arg and arg[0] and arg[0]:match "^(.*/)" or "./"
package.path = here .. "../lua/?.lua;" .. here .. "../lua/?/init.lua;" .. package.path
package.cpath = here .. "../build/lib/?.so;" .. package.cpath

local M = {}

local program = arg and arg[0] and arg[0]:match "[^/]*$" or "example"

-- Ends the program with one line.
function M.die(format, ...)
  io.stderr:write(program, ": ", format:format(...), "\n")
  os.exit(1, true)
end

function M.misuse(format, ...)
  io.stderr:write(program, ": ", format:format(...), " (--help tells more)\n")
  os.exit(2, true)
end

-- What gives nil and a message (and what more there is) ends the program.
function M.check(value, message, ...)
  if value == nil or value == false then M.die("%s", message) end
  return value, message, ...
end

-- A module that may be missing.
function M.require(name)
  local found, module = pcall(require, name)
  if found then return module end
  M.die("the Lua module '%s' cannot be loaded: %s", name, tostring(module):match "[^\n]*")
end

-- The options of akushu's that our own are made of.
local flag_of = {
  profile = "profile", versions = "version", min_version = "version", max_version = "version", suites = "suite", groups = "group",
  schemes = "scheme", alpn = "alpn", server_name = "server-name",
}

-- Calls what may raise because of the options that the user gave; then they are to blame.
function M.blame(fn, ...)
  local results = table.pack(pcall(fn, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  local message = tostring(results[2]):gsub("^[^:\n]*:%d+: ", ""):gsub("^option '([%w_]+)'", function(name)
    return flag_of[name] and "--" .. flag_of[name]
  end)
  M.misuse("%s", message)
end

-- M.options(argv, spec): spec[name] = "flag", "value" or "list". Returns the options (dashes become underscores) and the other words;
-- an unknown or incomplete option ends the program.
function M.options(argv, spec, usage)
  local options, words = {}, {}
  local misuse = M.misuse
  local i = 1
  while i <= #argv do
    local word = argv[i]
    local name, value = word:match "^%-%-([%w-]+)=?(.*)$"
    if name == "help" then
      io.stdout:write(usage)
      os.exit(0)
    elseif name then
      local kind, key = spec[name], name:gsub("-", "_")
      if not kind then misuse("there is no option --%s", name) end
      if kind == "flag" then
        if word:find("=", 1, true) then misuse("--%s takes no value", name) end
        options[key] = true
      else
        if not word:find("=", 1, true) then
          i = i + 1
          value = argv[i]
        end
        if not value or value == "" then misuse("--%s wants a value", name) end
        if kind == "list" then
          options[key] = options[key] or {}
          table.insert(options[key], value)
        elseif options[key] then
          misuse("--%s is given twice", name)
        else
          options[key] = value
        end
      end
    else
      words[#words + 1] = word
    end
    i = i + 1
  end
  return options, words
end

-- "HOST:PORT", "[::1]:PORT" → host, port.
function M.address(text, lowest_port)
  local host, port = text:match "^%[([%x:.]+)%]:(.*)$"
  if not host then host, port = text:match "^([^:%[%]%s]+):(.*)$" end
  if not host then M.misuse("%s is not of the form HOST:PORT or [IPv6 address]:PORT", text) end
  local number = port:match "^%d+$" and #port <= 5 and math.tointeger(tonumber(port))
  if not number or number < lowest_port or number > 65535 then M.misuse("%s: a port is a number from %d to 65535", text, lowest_port) end
  return host, number
end

-- The value of an option that is an integer from 1 on.
function M.count(options, key, by_default)
  local text = options[key]
  if not text then return by_default end
  local n = text:match "^%d+$" and #text <= 9 and math.tointeger(tonumber(text))
  if not n or n < 1 then M.misuse("--%s %s: a number from 1 on is expected", key, text) end
  return n
end

-- The options that both roles understand, as a context wants them.
M.common_options = {
  profile = "value", version = "list", suite = "list", group = "list", scheme = "list", alpn = "list",
  cert = "value", chain = "value", key = "value", password = "value", keylog = "value", timeout = "value", help = "flag",
}

M.common_usage = [[
  --profile NAME     a named set of suites: modern (the default), compatible, classic, lab
  --version V        1.2, 1.3, a range such as 1.2-1.3; may be repeated
  --suite NAME       a cipher suite by its IANA name; may be repeated, in order of preference
  --group NAME       a group for the key exchange; may be repeated
  --scheme NAME      a signature scheme; may be repeated
  --alpn NAME        an application protocol; may be repeated
  --keylog FILE      append NSS key log lines (they open the connection to whoever reads them)
  --timeout SECONDS  how long to wait for the peer (30)
]]

-- Versions named one by one or as ranges → the context's min_version and max_version.
local order = { ["1.0"] = 1, ["1.1"] = 2, ["1.2"] = 3, ["1.3"] = 4 }
local function versions(list)
  local low, high
  for _, text in ipairs(list) do
    local from, to = text:match "^([%d.]+)%-([%d.]+)$"
    from, to = from or text, to or text
    if not order[from] or not order[to] then M.misuse("--version %s is no version of TLS", text) end
    if not low or order[from] < order[low] then low = from end
    if not high or order[to] > order[high] then high = to end
  end
  return low, high
end

-- A word for the shell.
function M.quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- Opens a file that holds secrets. One that is not there yet is made for its owner's eyes alone: Lua cannot say with which rights a file is made, a
-- shell can; it makes none where one is (set -C). One that is there keeps its rights.
local function open_private(path, mode)
  os.execute(("(umask 077; set -C; : > %s) 2> /dev/null"):format(M.quote(path)))
  return M.check(io.open(path, mode))
end

-- Puts a secret into a file, in place of what was there: a new file, which takes the old one's name once all is in it.
function M.keep(path, secret)
  local new = path .. ".new"
  os.remove(new)
  local file = open_private(new, "wb")
  local ok, problem = file:write(secret)
  if ok then ok, problem = file:close() end
  if ok then ok, problem = os.rename(new, path) end
  if not ok then os.remove(new) end
  M.check(ok, problem)
end

-- Reads a file of at most 16 MiB; nil when there is none.
function M.read(path)
  local file, problem, code = io.open(path, "rb")
  if not file and code == 2 then return nil end -- ENOENT
  M.check(file, problem)
  local bytes
  bytes, problem = file:read(1 << 24)
  file:close()
  if not bytes and problem then M.die("%s: %s", path, problem) end
  return bytes or ""
end

function M.context_options(options)
  local o = { profile = options.profile, suites = options.suite, groups = options.group, schemes = options.scheme, alpn = options.alpn }
  if options.keylog then
    local file = open_private(options.keylog, "ab")
    file:setvbuf "line"
    function o.keylog(line) M.check(file:write(line, "\n")) end
  end
  if options.version then o.min_version, o.max_version = versions(options.version) end
  return o
end

-- Our own certificate and key, out of their files.
function M.identity(akushu, chain, options)
  return (M.check(akushu.identity { chain = chain, key = options.key or chain, password = options.password }))
end

function M.seconds(options, by_default)
  local n = tonumber(options.timeout or by_default)
  if not n or not (n > 0 and n <= 1e9) then M.misuse("--timeout %s is no number of seconds", options.timeout) end
  return n
end

-- One line about what was agreed: of a session.
function M.describe(session)
  local words = { "TLS " .. session.version, session.suite }
  if session.group then words[#words + 1] = "group " .. session.group end
  if session.alpn then words[#words + 1] = "ALPN " .. session.alpn end
  words[#words + 1] = session.resumed and "resumed" or "full handshake"
  return table.concat(words, ", ")
end

local function hex(s)
  return (s:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function brief(value) -- one line
  if type(value) == "string" then
    if value == "" then return "empty" end
    if #value <= 64 and not value:find "[^ -~]" then return value end
    return ("%s%s (%d bytes)"):format(hex(value:sub(1, 12)), #value > 12 and "…" or "", #value)
  elseif type(value) ~= "table" then
    return tostring(value)
  end
  if value.type then return value.type end
  local words = {}
  for i, item in ipairs(value) do
    if i > 12 then
      words[i] = ("… %d in all"):format(#value)
      break
    end
    words[i] = brief(item)
  end
  if #words > 0 then return table.concat(words, ", ") end
  for name, item in pairs(value) do words[#words + 1] = name .. " " .. brief(item) end -- a structure's fields
  table.sort(words)
  return #words > 0 and table.concat(words, ", ") or "empty"
end

-- A message of a handshake (a hook's table and event): its name and length, then a line for each field.
function M.summary(message, event)
  local out = { ("%s, %d bytes"):format(event.name, #event.raw) }
  local names = {}
  for name in pairs(message) do
    if name ~= "type" and name ~= "form" and name ~= "bytes" then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do out[#out + 1] = ("      %s: %s"):format(name, brief(message[name])) end
  return table.concat(out, "\n")
end

-- A failure in words: what, whose doing, which alert.
function M.explain(message, failure)
  local more = {}
  if type(failure) == "table" then
    more[#more + 1] = failure.code
    if failure.alert then more[#more + 1] = ("alert %s %s the peer"):format(failure.alert, failure.origin == "peer" and "from" or "to") end
    if failure.state then more[#more + 1] = "state " .. tostring(failure.state) end
  end
  return ("%s%s"):format(message, #more > 0 and (" (" .. table.concat(more, ", ") .. ")") or "")
end

-- ---- one program for each event loop (copas.lua, cqueues.lua, luv.lua) -------------------------------------------------------------

-- What they are told: { role =, host =, port =, path =, context =, options = (of the connection) }; akushu is the module.
function M.loop_program(akushu)
  local usage = ([[
usage: %s get [--ca FILE] HOST:PORT [PATH]
       %s serve --chain FILE [--key FILE] ADDR:PORT
GETs a page over TLS, or answers requests until it is stopped.

  --ca FILE          trust the CAs in this PEM file instead of the system's
  --chain FILE       the server's certificate chain (PEM) ...
  --key FILE         ... and its private key, when that is in a file of its own
  --timeout SECONDS  how long each step may take (30)
]]):format(program, program)
  local options, words = M.options(arg, { ca = "value", chain = "value", key = "value", timeout = "value", help = "flag" }, usage)
  local role, where, path = words[1], words[2], words[3] or "/"
  if role ~= "get" and role ~= "serve" then M.misuse "get or serve?" end
  if not where or words[role == "get" and 4 or 3] then M.misuse("%s wants one address", role) end
  local p = { role = role, path = path, options = { timeout = M.seconds(options, 30) } }
  p.host, p.port = M.address(where, role == "get" and 1 or 0)
  if role == "get" then
    if options.chain or options.key then M.misuse "--chain and --key are the server's" end
    local cas = options.ca and akushu.trust.file or akushu.trust.system
    p.context = akushu.client { trust = M.check(cas(options.ca)) }
  else
    if options.ca or not options.chain then M.misuse "a server wants --chain, and no --ca" end
    p.context = akushu.server { identity = M.identity(akushu, options.chain, options) }
  end
  return p
end

-- The client: one request over a connection, the answer to standard output. true; or nil, message, failure.
function M.get(conn, p)
  local ok, message, failure = conn:send(("GET %s HTTP/1.0\r\nHost: %s\r\n\r\n"):format(p.path, p.host))
  while ok do
    ok, message, failure = conn:receive_some()
    if ok then io.stdout:write(ok) end
  end
  if failure.code ~= "closed" then return nil, message, failure end
  return true
end

-- The server: one request, and an answer.
function M.www(conn)
  repeat
    local line = conn:receive()
    if not line then return end
  until line == ""
  local body = ("%s, %s\n"):format(M.describe(conn), conn.server_name or "no name")
  conn:send(("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body))
end

-- The server's words about a handshake that has failed.
function M.refused(message, failure) io.stderr:write(program, ": ", M.explain(message, failure), "\n") end

return M
