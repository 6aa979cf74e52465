--- Sessions, and the memory of first flights, in Redis: shared by any number of processes.
--
--     local store = require("akushu.adapters.redis").new(redis.connect("127.0.0.1", 6379))
--     akushu.server { identity = identity, ticket_keys = shared, sessions = store.sessions, early_data = 16384, on_early_data = store.on_early_data }
--
-- The client is anybody's: an object with methods named after commands (get, set, del, eval: redis-lua's, for one), or a function(command, …) that returns the reply. Either may
-- yield. What is stored holds secrets: whoever can read it can read what those sessions protect.
local misuse = require "akushu.misuse"
local hex = require("akushu.show").to_hex

local adapter = {}

local known = {
  prefix = { "string", "a string" }, lifetime = { "integer", "seconds, a whole number" }, window = { "integer", "seconds, a whole number" },
  single_use = { "boolean", "true or false" }, on_error = { "callable", "a function" },
}

-- In one step, by a script as GETDEL is not older than Redis 6.2.
local take = "local v = redis.call('GET', KEYS[1]) redis.call('DEL', KEYS[1]) return v"

-- function(command, …): the reply; raises what is wrong.
local function commands_of(client)
  if type(client) == "function" then return client end
  return function(command, ...)
    local method = client[command:lower()]
    if not method then error("the client has no method " .. command:lower(), 0) end
    return method(client, ...)
  end
end

--- A store over a client. Options: prefix of all keys ("akushu:"); lifetime: seconds that a session is kept (7200: that of the context's session_lifetime is the right one);
-- window: seconds that a first flight is remembered (20, twice the context's early_data_window); single_use: a session is gone once it was asked for; on_error: function(message,
-- command), called when Redis or the way to it fails. Returns { sessions =, on_early_data = } for akushu.server, and failures, how often it has failed.
function adapter.new(client, o)
  if type(client) ~= "function" and type(client) ~= "table" and type(client) ~= "userdata" then
    misuse.expected("redis", "a client, or a function(command, ...)", client)
  end
  o = misuse.options("redis", known, o)
  local prefix, lifetime, window = o.prefix or "akushu:", o.lifetime or 7200, o.window or 20
  for name, value in pairs { lifetime = lifetime, window = window } do
    if value < 1 then error(("redis: option '%s': at least one second"):format(name), 2) end
  end
  local command, store = commands_of(client), { sessions = {}, failures = 0 }

  -- The reply; nil when there is none, and when something is wrong: a handshake does not fail because its session cannot be had.
  local function ask(name, ...)
    local ok, reply, problem = pcall(command, name, ...)
    if ok and (reply or not problem) then return reply end
    store.failures = store.failures + 1
    if o.on_error then o.on_error(tostring(ok and problem or reply), name) end
    return nil
  end

  function store.sessions.get(id)
    local key = prefix .. "s:" .. hex(id)
    local reply
    if o.single_use then reply = ask("EVAL", take, 1, key) else reply = ask("GET", key) end
    return type(reply) == "string" and reply or nil
  end

  function store.sessions.put(id, session) ask("SET", prefix .. "s:" .. hex(id), session, "EX", lifetime) end

  function store.sessions.remove(id) ask("DEL", prefix .. "s:" .. hex(id)) end

  --- True for one caller alone, of all that share this Redis; false where Redis does not say.
  function store.on_early_data(key)
    local reply = ask("SET", prefix .. "e:" .. hex(key), "1", "NX", "EX", window)
    return reply == true or reply == "OK"
  end

  return store
end

return adapter
