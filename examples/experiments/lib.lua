-- What the experiments share: finding akushu beside a fresh build, words, claims that are checked, a real openssl on loopback.
local here = arg and arg[0] and arg[0]:match "^(.*/)" or "./"
package.path = here .. "../../lua/?.lua;" .. here .. "../../lua/?/init.lua;" .. here .. "?.lua;" .. package.path
package.cpath = here .. "../../build/lib/?.so;" .. package.cpath

-- An experiment takes no words but --help, which prints what stands at its head.
local program = arg and arg[0] and arg[0]:match "(%d%d_[%w_]+%.lua)$"
if program and arg[1] == "--help" then
  print("usage: " .. program .. "   runs the experiment; ends with 1 if it does not come out as it says\n")
  for line in io.lines(arg[0]) do
    local words = line:match "^%-%- ?(.*)$"
    if not words then break end
    print(words)
  end
  os.exit(0)
elseif program and arg[1] then
  io.stderr:write(("%s: what is %s? (--help tells more)\n"):format(program, arg[1]))
  os.exit(2)
end
do
  local found, why = pcall(require, "akushu")
  if not found then
    io.stderr:write(("%s: the Lua module 'akushu' cannot be loaded: %s\n"):format(program or "lib.lua", tostring(why):match "[^\n]*"))
    os.exit(1)
  end
end

local lib = {}

function lib.title(text) print(("\n== %s\n"):format(text)) end

--- A claim: said when it is true, the end of the experiment (exit code 1) when it is not.
function lib.claim(truth, text, ...)
  text = text:format(...)
  if not truth then
    io.stderr:write("NOT SO: ", text, "\n")
    os.exit(1, true)
  end
  print("  ✓ " .. text)
end

--- Rows of text, in columns.
function lib.columns(rows)
  local width = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do width[i] = math.max(width[i] or 0, #tostring(cell)) end
  end
  for _, row in ipairs(rows) do
    local out = {}
    for i, cell in ipairs(row) do out[i] = tostring(cell) .. (" "):rep(width[i] - #tostring(cell)) end
    print("  " .. table.concat(out, "  "):gsub("%s+$", ""))
  end
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
  return path
end

--- How long is waited, in seconds, for what must come: an end for a wait that would have none.
lib.patience = 60

--- openssl s_server on a free port of 127.0.0.1 with this identity (as lab:issue gives it); it ends with this process, whatever happens.
-- nil when there is no openssl or no LuaSocket here. server:connect() → a socket; server:close().
function lib.openssl_server(issued, words)
  local found, socket = pcall(require, "socket")
  if not found or not os.execute "command -v openssl >/dev/null 2>&1" then return nil end
  local pipe = assert(io.popen "mktemp -d")
  local dir = pipe:read "l"
  pipe:close()
  write(dir .. "/chain.pem", issued.pem_chain)
  write(dir .. "/key.pem", issued.pem_key)
  -- The shell waits for the end of its input, which is this process's end at the latest, and takes the server with it.
  local lifeline = assert(io.popen(([[
    openssl s_server -rev -accept 127.0.0.1:0 -cert '%s/chain.pem' -key '%s/key.pem' %s </dev/null >'%s/log' 2>&1 &
    server=$!; cat >/dev/null; kill $server; rm -rf '%s']]):format(dir, dir, words or "", dir, dir), "w"))
  -- The server takes a port that is free, and says which.
  local port, said
  for _ = 1, lib.patience * 50 do
    local log = io.open(dir .. "/log")
    said = log and log:read "a" or ""
    if log then log:close() end
    port = tonumber(said:match "ACCEPT 127%.0%.0%.1:(%d+)\n")
    if port then break end
    socket.sleep(0.02)
  end
  if not port then error("openssl s_server did not start: " .. said) end
  local server = { port = port }
  function server.connect()
    local s = assert(socket.tcp())
    s:settimeout(lib.patience)
    assert(s:connect("127.0.0.1", port))
    s:setoption("tcp-nodelay", true)
    return s
  end
  function server.close() lifeline:close() end
  return server
end

--- What comes within so many seconds: bytes, or nil and why ("timeout", "closed").
function lib.receive(s, seconds)
  s:settimeout(seconds)
  local first, why = s:receive(1)
  if not first then return nil, why end
  s:settimeout(0)
  local rest, _, part = s:receive(65536)
  return first .. (rest or part or "")
end

return lib
