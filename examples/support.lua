-- What the example client and server share: finding akushu beside a fresh build, options, and words for what happened.
local here = arg and arg[0] and arg[0]:match "^(.*/)" or "./"
package.path = here .. "../lua/?.lua;" .. here .. "../lua/?/init.lua;" .. package.path
package.cpath = here .. "../build/lib/?.so;" .. package.cpath

local M = {}

-- M.options(argv, spec): spec[name] = "flag", "value" or "list". Returns the options (dashes become underscores) and the other words;
-- an unknown or incomplete option ends the program with `usage`.
function M.options(argv, spec, usage)
  local options, words = {}, {}
  local function misuse(text)
    io.stderr:write(text, "\n", usage)
    os.exit(2)
  end
  local i = 1
  while i <= #argv do
    local word = argv[i]
    local name, value = word:match "^%-%-([%w-]+)=?(.*)$"
    if name == "help" then
      io.stdout:write(usage)
      os.exit(0)
    elseif name then
      local kind, key = spec[name], name:gsub("-", "_")
      if not kind then misuse("unknown option --" .. name) end
      if kind == "flag" then
        if word:find("=", 1, true) then misuse("--" .. name .. " takes no value") end
        options[key] = true
      else
        if not word:find("=", 1, true) then
          i = i + 1
          value = argv[i]
        end
        if not value or value == "" then misuse("--" .. name .. " wants a value") end
        if kind == "list" then
          options[key] = options[key] or {}
          table.insert(options[key], value)
        elseif options[key] then
          misuse("--" .. name .. " is given twice")
        else
          options[key] = value
        end
      end
    else
      words[#words + 1] = word
    end
    i = i + 1
  end
  return options, words, misuse
end

-- "HOST:PORT", "[::1]:PORT" → host, port; nil when it is neither.
function M.address(text)
  local host, port = text:match "^%[([%x:.]+)%]:(%d+)$"
  if not host then host, port = text:match "^([^:]+):(%d+)$" end
  port = math.tointeger(tonumber(port))
  if not host or port > 65535 then return nil end
  return host, port
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
  --timeout SECONDS  how long to wait for the peer
]]

-- Versions named one by one or as ranges → the context's min_version and max_version.
local order = { ["1.0"] = 1, ["1.1"] = 2, ["1.2"] = 3, ["1.3"] = 4 }
local function versions(list, misuse)
  local low, high
  for _, text in ipairs(list) do
    local from, to = text:match "^([%d.]+)%-([%d.]+)$"
    from, to = from or text, to or text
    if not order[from] or not order[to] then misuse("--version " .. text .. " is no version of TLS") end
    if not low or order[from] < order[low] then low = from end
    if not high or order[to] > order[high] then high = to end
  end
  return low, high
end

local function append(path, text)
  local file = assert(io.open(path, "ab"))
  assert(file:write(text))
  assert(file:close())
end

function M.context_options(options, misuse)
  local o = {
    profile = options.profile, suites = options.suite, groups = options.group, schemes = options.scheme, alpn = options.alpn,
    keylog = options.keylog and function(line) append(options.keylog, line .. "\n") end or nil,
  }
  if options.version then o.min_version, o.max_version = versions(options.version, misuse) end
  return o
end

function M.seconds(options, by_default, misuse)
  local n = tonumber(options.timeout or by_default)
  if not n or n <= 0 then misuse("--timeout " .. options.timeout .. " is no number of seconds") end
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

local function brief(value)
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

return M
