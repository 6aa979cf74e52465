-- make bench: akushu beside others, in one process and in turn (A B C A B C …); CPU time of the process, the median of the ratios of
-- each round.
--
--   lua5.4 bench/run.lua [--rounds N] [--only PATTERN] [--quick]
--
-- A ratio is the peer's time divided by akushu's in the same round: above 1 akushu is faster. "floor" is what libcrypto alone costs, so
-- it is below 1.
package.path = "./?.lua;" .. package.path
package.cpath = "./build/bench/?.so;" .. package.cpath
require "socket" -- a broken pipe is an error, not a signal
local certs = require "bench.certs"
local libssl = require "bench_libssl"
local floor = require "bench_floor"
local memory = require "bench_memory"
local akushu_driver = require "bench.akushu"

local rounds, only, slice = 15, nil, 0.02
do
  local i = 1
  while arg[i] do
    if arg[i] == "--rounds" then
      i = i + 1
      rounds = assert(math.tointeger(tonumber(arg[i])), "--rounds wants a number")
    elseif arg[i] == "--only" then
      i = i + 1
      only = assert(arg[i], "--only wants a pattern")
    elseif arg[i] == "--quick" then
      rounds, slice = 5, 0.01
    else
      error("unknown option " .. arg[i])
    end
    i = i + 1
  end
end

local rsa, ecdsa = certs.make "rsa", certs.make "ecdsa"

-- ---- who runs ----------------------------------------------------------------------------------------------------------------------

local function with(t, more)
  local out = {}
  for k, v in pairs(t) do out[k] = v end
  for k, v in pairs(more or {}) do out[k] = v end
  return out
end

local function libssl_new(o)
  return libssl.new(with(o, { suite = o.version == "1.3" and o.suite or o.openssl_suite, group = o.openssl_group }))
end

-- The floor has a function for each kind of handshake; the rest looks like the others.
local function floor_new(o)
  if not o.floor then return nil, "has no floor" end
  local f = floor.new(o)
  if o.group then f:group(o.group) end
  return {
    handshakes = function(_, n) f[o.floor](f, n) end,
    connect = function() end,
    bulk = function(_, size, n) f:bulk(size, n) end,
  }
end

local function optional(name)
  local ok, driver = pcall(require, name)
  if not ok then return function() return nil, "is not installed" end end
  return driver.new
end

local contestants = {
  { "akushu", akushu_driver.new },
  { "akushu over loopback", function(o) return akushu_driver.new(with(o, { sockets = true })) end },
  { "LuaSec", optional "bench.luasec" },
  { "luaossl", optional "bench.luaossl" },
  { "libssl", libssl_new },
  { "floor", floor_new },
}

-- ---- what they run --------------------------------------------------------------------------------------------------------------

local classic = with(rsa, {
  version = "1.2", floor = "rsa", suite = "TLS_RSA_WITH_AES_128_GCM_SHA256", openssl_suite = "AES128-GCM-SHA256",
})
local ecdhe = { version = "1.2", group = "secp256r1", openssl_group = "P-256", floor = "ecdhe" }
local ecdhe_ecdsa = with(with(ecdsa, ecdhe), {
  suite = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", openssl_suite = "ECDHE-ECDSA-AES128-GCM-SHA256",
})
local ecdhe_rsa = with(with(rsa, ecdhe), {
  suite = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", openssl_suite = "ECDHE-RSA-AES128-GCM-SHA256",
})
local tls13 = { version = "1.3", suite = "TLS_AES_128_GCM_SHA256", group = "x25519", openssl_group = "X25519", floor = "tls13" }
local p256 = { group = "secp256r1", openssl_group = "P-256" }
local tls13_rsa, tls13_ecdsa = with(rsa, tls13), with(ecdsa, tls13)

-- Another suite for the bulk of one of the above; the floor knows AES-128-GCM only.
local function suite(base, name, openssl_name)
  return with(base, { suite = name, openssl_suite = openssl_name, floor = false })
end
local chacha12 = suite(ecdhe_ecdsa, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305")
local cbc12 = suite(classic, "TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA")
local mac_first12 = with(cbc12, { mac_first = true }) -- as with peers that do not know encrypt_then_mac
local aes256_13 = suite(tls13_ecdsa, "TLS_AES_256_GCM_SHA384")
local chacha13 = suite(tls13_ecdsa, "TLS_CHACHA20_POLY1305_SHA256")

-- By default handshakes; bulk: records of that size; memory: so many idle pairs. goal: ratios to reach, by peer; most: bytes that a pair may have.
local scenarios = {
  { "TLS 1.2 RSA key exchange, full", classic, goal = { LuaSec = 1.2 } },
  { "TLS 1.2 RSA, session id", with(classic, { resume = "id", floor = "resume12" }), goal = { libssl = 2 } },
  { "TLS 1.2 ECDHE-ECDSA, full", ecdhe_ecdsa, goal = { libssl = 1 } },
  { "TLS 1.2 ECDHE-RSA, full", ecdhe_rsa, goal = { libssl = 1 } },
  { "TLS 1.2 ECDHE-ECDSA, ticket", with(ecdhe_ecdsa, { resume = "ticket", floor = "resume12" }) },
  { "TLS 1.3 X25519 ECDSA, full", tls13_ecdsa, goal = { libssl = 1.2 } },
  { "TLS 1.3 P-256 ECDSA, full", with(tls13_ecdsa, p256), goal = { libssl = 1.2 } },
  { "TLS 1.3 X25519 RSA, full", tls13_rsa, goal = { libssl = 1.2 } },
  { "TLS 1.3 PSK with X25519", with(tls13_ecdsa, { resume = "ticket", floor = "psk13" }), goal = { libssl = 1.5 } },
}

-- Bulk: each size with one record a call, and with 64 KiB a call.
local function bulk(title, o, sizes)
  for _, size in ipairs { 16384, 1024, 64 } do
    if sizes[size] then
      scenarios[#scenarios + 1] = { title, o, bulk = size }
      scenarios[#scenarios + 1] = { title, with(o, { batch = true, bulk = size }), bulk = size, goal = sizes[size] }
    end
  end
end

bulk("TLS 1.2 AES-128-GCM", classic, {
  [16384] = { LuaSec = 3, libssl = 1 }, [1024] = { LuaSec = 3, libssl = 1.3 }, [64] = { LuaSec = 3, libssl = 1.6 },
})
bulk("TLS 1.2 ChaCha20-Poly1305", chacha12, { [16384] = {} })
bulk("TLS 1.2 AES-128-CBC-SHA", cbc12, { [16384] = { LuaSec = 1.5, libssl = 1 } })
bulk("TLS 1.2 AES-128-CBC-SHA, MAC first", mac_first12, { [16384] = { LuaSec = 1.5, libssl = 0.9 } })
local bulk13 = { [16384] = { libssl = 1 }, [1024] = { libssl = 1.3 }, [64] = { libssl = 1.6 } }
bulk("TLS 1.3 AES-128-GCM", tls13_ecdsa, bulk13)
bulk("TLS 1.3 AES-256-GCM", aes256_13, bulk13)
bulk("TLS 1.3 ChaCha20-Poly1305", chacha13, bulk13)

for _, row in ipairs {
  { "TLS 1.2 idle pair", classic, memory = 100, most = 8192 },
  { "TLS 1.3 idle pair", tls13_ecdsa, memory = 100, most = 8192 },
} do
  scenarios[#scenarios + 1] = row
end

-- What hooks cost: akushu with none (its time stands first) against itself with some. With none no Lua runs in a step (spec/unit/hooks_cost_spec.lua): a gate that
-- nobody asked for is one test of a bit. A hook that never meets its message has its gate opened all the same.
local function look() end
local every_gate = {}
for i, gate in ipairs { "compose", "send", "plain_out", "record_out", "record_in", "plain_in", "receive" } do every_gate[i] = { gate, "*", look } end

local function hooked(hooks)
  return function(o) return akushu_driver.new(with(o, { hooks = hooks })) end
end

local with_hooks = {
  { "akushu", akushu_driver.new },
  { "a hook never met", hooked { { "receive", "hello_request", look } } },
  { "one hook", hooked { { "send", "client_hello", look } } },
  { "all messages", hooked { { "send", "*", look }, { "receive", "*", look } } },
  { "all gates", hooked(every_gate) },
}
scenarios[#scenarios + 1] = { "hooks, TLS 1.2 ECDHE-ECDSA, full", ecdhe_ecdsa, contestants = with_hooks }
scenarios[#scenarios + 1] = { "hooks, TLS 1.3 X25519 ECDSA, full", tls13_ecdsa, contestants = with_hooks }
scenarios[#scenarios + 1] = { "hooks, TLS 1.3 AES-128-GCM", tls13_ecdsa, bulk = 1024, contestants = with_hooks }

-- ---- measuring ------------------------------------------------------------------------------------------------------------------

local function median(list)
  table.sort(list)
  local n = #list
  return n % 2 == 1 and list[(n + 1) // 2] or (list[n // 2] + list[n // 2 + 1]) / 2
end

-- Seconds of CPU for one unit, over enough units to fill the slice.
local function timed(runner)
  local started = os.clock()
  runner.fn(runner.units)
  return (os.clock() - started) / runner.units
end

local function calibrate(runner)
  runner.fn(1)
  runner.units = 1
  while true do
    local each = timed(runner)
    if each * runner.units >= slice / 2 or runner.units >= 1000000 then
      runner.units = math.max(1, math.floor(slice / math.max(each, 1e-8)))
      return
    end
    runner.units = runner.units * 4
  end
end

local notes = {}

local function name_of(scenario)
  if not scenario.bulk then return scenario[1] end
  return ("%s, %d bytes%s"):format(scenario[1], scenario.bulk, scenario[2].batch and ", 64 KiB a call" or "")
end

local function enter(scenario)
  local runners = {}
  for _, c in ipairs(scenario.contestants or contestants) do
    local name, new = c[1], c[2]
    local ok, made, why = pcall(new, scenario[2])
    if not ok or not made then
      if name == "akushu" then return nil, tostring(made or why) end
      if not ok then notes[#notes + 1] = ("%s: %s: %s"):format(scenario[1], name, made) end
    else
      local runner = { name = name, object = made }
      if scenario.bulk then
        made:connect()
        runner.fn = function(n) made:bulk(scenario.bulk, n) end
      else
        runner.fn = function(n) made:handshakes(n) end
      end
      local fine, problem = pcall(calibrate, runner)
      if fine and scenario[2].resume and made.info and not made:info():find "resumed" then fine, problem = false, "did not resume" end
      if fine then
        runners[#runners + 1] = runner
      elseif name == "akushu" then
        return nil, tostring(problem)
      else
        notes[#notes + 1] = ("%s: %s: %s"):format(scenario[1], name, problem)
      end
    end
  end
  return runners
end

local function leave(runners)
  for _, r in ipairs(runners) do
    if type(r.object) == "table" and r.object.close then r.object:close() end
    r.object, r.fn = nil, nil
  end
  collectgarbage()
  collectgarbage()
end

local missed = 0
local function judge(scenario, name, ratio)
  local goal = scenario.goal and scenario.goal[name]
  if not goal then return "" end
  if ratio >= goal then return (" (goal %.1f)"):format(goal) end
  missed = missed + 1
  return (" (MISSED %.1f)"):format(goal)
end

local function race(scenario)
  local runners, why = enter(scenario)
  if not runners then return nil, why end
  local times, ratios = {}, {}
  for _, r in ipairs(runners) do times[r.name], ratios[r.name] = {}, {} end
  for _ = 1, rounds do
    local round = {}
    for _, r in ipairs(runners) do
      round[r.name] = timed(r)
      table.insert(times[r.name], round[r.name])
    end
    for name, list in pairs(ratios) do table.insert(list, round[name] / round.akushu) end
  end
  local own = median(times.akushu)
  local line = {}
  if scenario.bulk then
    line[1] = ("  %-52s %6.0f MB/s"):format(name_of(scenario), scenario.bulk / own / 1e6)
  else
    line[1] = ("  %-52s %6.1f µs  "):format(name_of(scenario), own * 1e6)
  end
  for _, r in ipairs(runners) do
    if r.name ~= "akushu" then
      local ratio = median(ratios[r.name])
      line[#line + 1] = ("%s %.2f%s"):format(r.name, ratio, judge(scenario, r.name, ratio))
    end
  end
  leave(runners)
  return table.concat(line, "   ")
end

local function spare(scenario, each)
  if each <= scenario.most then return (" (at most %d)"):format(scenario.most) end
  missed = missed + 1
  return (" (MISSED %d)"):format(scenario.most)
end

local function weigh(scenario)
  local line = {}
  for _, c in ipairs(contestants) do
    if c[1] ~= "floor" and c[1] ~= "akushu over loopback" then
      local ok, made = pcall(c[2], scenario[2])
      if ok and made then
        made:pairs(2) -- what is allocated once
        made:drop()
        collectgarbage()
        collectgarbage()
        local before = memory.in_use()
        made:pairs(scenario.memory)
        collectgarbage()
        collectgarbage()
        local each = (memory.in_use() - before) / scenario.memory
        line[#line + 1] = ("%s %.0f%s"):format(c[1], each, c[1] == "akushu" and spare(scenario, each) or "")
        made:drop()
        if type(made) == "table" and made.close then made:close() end
      elseif c[1] == "akushu" then
        return nil, tostring(made)
      end
    end
  end
  return ("  %-52s bytes: %s"):format(name_of(scenario), table.concat(line, "   "))
end

print(("%d rounds of %.0f ms each; both ends in one process, both paid for; ratios: the peer's time / akushu's"):format(
  rounds, slice * 1000))
local ran = 0
for _, scenario in ipairs(scenarios) do
  local title = name_of(scenario)
  if not only or title:find(only) then
    local line, why
    if scenario.memory then line, why = weigh(scenario) else line, why = race(scenario) end
    if line then ran = ran + 1 end
    print(line or ("  %-52s not measured: %s"):format(title, why:match "^[^\n]*"))
    io.stdout:flush()
  end
end
for _, note in ipairs(notes) do print("  " .. note) end
certs.remove()
if missed > 0 then print(("%d goals missed"):format(missed)) end
if ran == 0 then os.exit(1) end
