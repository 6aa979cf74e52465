-- akushu.adapters.cqueues: both ends in one controller.
local conversations = require "spec.support.conversations"
local cqueues = require "cqueues"
local socket = require "cqueues.socket"
local tls = require "akushu.adapters.cqueues"

local queue, problem

local function spawn(fn)
  queue:wrap(function()
    local ok, why = xpcall(fn, debug.traceback)
    if not ok then problem = why end
  end)
end

conversations {
  name = "akushu.adapters.cqueues", tls = tls, spawn = spawn, sleep = cqueues.sleep,
  run = function(fn)
    queue, problem = cqueues.new(), nil
    local done
    spawn(function()
      fn()
      done = true
    end)
    while not done and not problem do assert(queue:step(0.1)) end
    if problem then error(problem, 0) end
  end,
  listen = function(accepted)
    local listener = assert(socket.listen { host = "127.0.0.1", port = 0 })
    assert(listener:listen())
    local open = true
    spawn(function()
      while open do
        local sock = listener:accept { nodelay = true, timeout = 0.1 }
        if sock then spawn(function() accepted(sock) end) end
        if not sock then listener:clearerr() end
      end
      listener:close()
    end)
    return (select(3, listener:localname())), function() open = false end
  end,
  cut = function(conn) conn.transport.inner:close() end,
}
