-- A peer that is a library and not a program (Python's ssl, Node.js's tls): a script beside this file (peer_python.py, peer_node.js) that does what lines of JSON
-- tell it over a socket of its own, one connection after the other, and answers with what it has seen. One process serves a whole spec file.
local json = require "cjson"
local net = require "spec.support.net"
local peers = require "spec.support.peers"

local driver = {}
driver.__index = driver

local here = debug.getinfo(1, "S").source:match "^@(.-)[^/]*$"

-- driver.start("python3", "peer_python.py") → a driver
function driver.start(program, script)
  local listener, port = net.listen()
  local process = peers.spawn { program, here .. script, port }
  listener:settimeout(peers.patience)
  local sock = listener:accept()
  listener:close()
  if not sock then error(process:stop():log(), 2) end
  sock:settimeout(peers.patience)
  sock:setoption("tcp-nodelay", true)
  return setmetatable({ sock = sock, process = process, count = 0 }, driver)
end

-- Tells it something. `action` is "client", "server" … (the scripts say what they know).
function driver:tell(action, options)
  local o = {}
  for k, v in pairs(options or {}) do o[k] = v end
  self.count = self.count + 1
  o.action, o.n = action, self.count
  assert(self.sock:send(json.encode(o) .. "\n"))
end

-- Its next answer to what it was told last, a table without nulls. (What a test that failed left behind is passed over.)
function driver:hear()
  while true do
    local line, err = self.sock:receive "*l"
    if not line then error(("%s: %s"):format(err, self.process:log()), 2) end
    local answer = json.decode(line)
    if answer.n == self.count then
      for k, v in pairs(answer) do
        if v == json.null then answer[k] = nil end
      end
      return answer
    end
  end
end

function driver:ask(action, options)
  self:tell(action, options)
  return self:hear()
end

-- It listens for one connection with these options; returns the port. hear() then gives what it saw, when the connection is over.
function driver:serve(options)
  local answer = self:ask("server", options)
  return math.tointeger(answer.port) or error(answer.error, 2)
end

function driver:stop()
  self.sock:close()
  self.process:stop()
end

return driver
