--- Published handshakes that specs check against. They are no part of the project: where the folder beside it is absent, specs are pending.
--
--     local vectors = require "spec.support.vectors"
--     for _, name in ipairs(vectors.recorded()) do
--       for _, flow in ipairs(vectors.load(name)) do … flow.n, flow.from, flow.bytes … end
--     end
local vectors = {}

vectors.folder = os.getenv "AKUSHU_VECTORS" or "../shared/vectors"
vectors.rfc_folder = os.getenv "AKUSHU_RFC" or "../shared/rfc"

--- The bytes of a file of the folder; nil when it is not there.
function vectors.read(path)
  local file = io.open(vectors.folder .. "/" .. path, "rb")
  if not file then return nil end
  local bytes = file:read "a"
  file:close()
  return bytes
end

function vectors.from_hex(text)
  return (text:gsub("%s", ""):gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

function vectors.to_hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

--- The names of the recorded connections, sorted; nil when the folder is absent.
function vectors.recorded()
  if not vectors.read "go-recorded/LICENSE" then return nil end
  local names = {}
  for file in require "lfs".dir(vectors.folder .. "/go-recorded") do
    local name = file:match "^([CS].*)%.txt$"
    if name then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

--- One recorded connection as a list of flows { n =, from = "client" | "server", bytes = }; nil when it is not there.
function vectors.load(name)
  local text = vectors.read("go-recorded/" .. name .. ".txt")
  if not text then return nil end
  local flows = {}
  for line in text:gmatch "[^\n]+" do
    local n, from = line:match "^>>> Flow (%d+) %((%a+) to %a+%)"
    if n then
      flows[#flows + 1] = { n = tonumber(n), from = from, parts = {} }
    else
      local hex = assert(line:match "^%x%x%x%x%x%x%x%x%s+(.-)%s*|", "a line that is no hex dump: " .. line)
      table.insert(flows[#flows].parts, vectors.from_hex(hex))
    end
  end
  for _, flow in ipairs(flows) do
    flow.bytes, flow.parts = table.concat(flow.parts), nil
  end
  return flows
end

-- RFC 8448 as lines without what its pages begin and end with.
local function lines_of_rfc8448()
  local file = io.open(vectors.rfc_folder .. "/rfc8448.txt", "rb")
  if not file then return nil end
  local lines = {}
  for line in file:lines() do
    line = line:gsub("[\r\f]", "")
    if not line:find "^Thomson%s" and not line:find "^RFC 8448%s" then lines[#lines + 1] = line end
  end
  file:close()
  return lines
end

--- The labelled values of RFC 8448's traces, in its order: { section = "3", side = "client", name = "ClientHello", bytes = …,
-- step = "construct a ClientHello handshake message" }; nil when the RFC is not there.
function vectors.rfc8448()
  local lines = lines_of_rfc8448()
  if not lines then return nil end
  local values, section, side, step, value = {}, nil, nil, nil, nil
  for _, line in ipairs(lines) do
    local new_side, new_step = line:match "^   {(%a+)}  (.*)$"
    local name, n, hex = line:match "^      (%S.-) %((%d+) octets%):%s+(.*)$"
    if line:find "^%d%.  " then
      section, value = line:match "^(%d)", nil
    elseif new_side then
      side, step, value = new_side, new_step:gsub(":$", ""), nil
    elseif name then
      value = { section = section, side = side, step = step, name = name, n = tonumber(n), hex = hex == "(empty)" and "" or hex }
      values[#values + 1] = value
    elseif value and line:find "^         %x%x" then
      value.hex = value.hex .. line
    elseif line:find "%S" then
      value = nil
    end
  end
  for _, v in ipairs(values) do
    v.bytes, v.hex = vectors.from_hex(v.hex), nil
    assert(#v.bytes == v.n, ("%s of section %s has %d bytes, not %d"):format(v.name, v.section, #v.bytes, v.n))
  end
  return values
end

return vectors
