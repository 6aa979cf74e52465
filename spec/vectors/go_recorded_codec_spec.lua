-- 120 recorded connections through the codec: records, messages, both ways; then mutations of them.
local byte_mutations = require "spec.support.byte_mutations"
local vectors = require "spec.support.vectors"
local wire = require("akushu.core").wire

local hex = vectors.to_hex
local names = vectors.recorded()

local function reencodes(bytes, options)
  local node = wire.decode(bytes, options)
  if wire.encode(node) ~= bytes then error("not the same bytes again: " .. hex(bytes), 2) end
  return node
end

-- The records of both directions, in order, and what the ServerHello says.
local function connection(flows)
  local streams, context = { client = {}, server = {} }, {}
  for _, flow in ipairs(flows) do table.insert(streams[flow.from], flow.bytes) end
  for from, parts in pairs(streams) do streams[from] = reencodes(table.concat(parts), { what = "records", deep = false }) end
  for _, record in ipairs(streams.server) do
    local hello = record.type == "handshake" and wire.decode(record.fragment, { what = "message" })
    if hello and hello.type == "server_hello" and not context.version then
      local chosen = hello.extensions and hello.extensions:find "supported_versions"
      context.version = chosen and chosen.data.selected_version or hello.legacy_version
      context.suite = hello.cipher_suite
    end
  end
  return streams, context
end

-- The handshake messages of one direction that are not encrypted, as bytes.
local function plain_messages(records, context)
  local parts = {}
  for _, record in ipairs(records) do
    if record.type == "change_cipher_spec" and context.version ~= "TLS 1.3" then break end
    if record.type == "handshake" then parts[#parts + 1] = record.fragment end
  end
  local list, found = reencodes(table.concat(parts), { what = "messages" }), {}
  assert.is_nil(list.trailing)
  for _, message in ipairs(list) do found[#found + 1] = wire.encode(message) end
  return found
end

-- { bytes =, options = } for every message that can be read, once with what is known of its connection and once without.
local function all_messages()
  local found = {}
  for _, name in ipairs(names) do
    local streams, context = connection(vectors.load(name))
    for _, from in ipairs { "client", "server" } do -- in this order always, so that one seed means one run
      for _, bytes in ipairs(plain_messages(streams[from], context)) do
        found[#found + 1] = { name = name, bytes = bytes,
          options = { what = "message", version = context.version, suite = context.suite, from = from } }
        found[#found + 1] = { name = name, bytes = bytes, options = { what = "message" } }
      end
    end
  end
  return found
end

local function described(name, run)
  it(name, function()
    if not names then return pending "the recorded connections are not here" end
    run()
  end)
end

describe("the recorded connections", function()
  described("are 120, two of them empty (Client-TLSv10-Ed25519 and Client-TLSv11-Ed25519)", function()
    local empty = {}
    for _, name in ipairs(names) do
      if #vectors.load(name) == 0 then empty[#empty + 1] = name end
    end
    assert.equal(120, #names)
    assert.same({ "Client-TLSv10-Ed25519", "Client-TLSv11-Ed25519" }, empty)
  end)

  for _, name in ipairs(names or {}) do
    it(name .. " splits into records and messages, and comes back", function()
      local flows = vectors.load(name)
      for i, flow in ipairs(flows) do
        assert.equal(i, flow.n)
        reencodes(flow.bytes, { from = flow.from })
        reencodes(flow.bytes, { what = "record" })
      end
      local streams, context = connection(flows)
      for from, records in pairs(streams) do
        assert.is_nil(records.trailing)
        assert.is_nil(records.notes)
        for _, record in ipairs(records) do assert.is_string(record.fragment) end
        for _, bytes in ipairs(plain_messages(records, context)) do
          local options = { what = "message", version = context.version, suite = context.suite, from = from }
          local message = reencodes(bytes, options)
          assert.is_nil(message.notes)
          assert.is_nil(message.raw)
          local ok, form = wire.check(bytes, options)
          assert.is_true(ok, form)
          assert.equal(hex(bytes:sub(5)), hex((wire.recode(bytes:sub(5), form))))
        end
      end
    end)
  end

  described("hold no message that may be cut anywhere", function()
    local cuts, whole = 0, 0
    for _, message in ipairs(all_messages()) do
      if message.options.version then
        local body, kind = message.bytes:sub(5), message.bytes:byte(1)
        for n = 0, #body - 1 do
          local cut = string.char(kind) .. string.pack(">I3", n) .. body:sub(1, n)
          reencodes(cut, message.options)
          local ok, form = wire.check(cut, message.options)
          cuts = cuts + 1
          if ok then -- a hello may end before its extensions, and Finished anywhere
            whole = whole + 1
            local hello = form == "client_hello" or form == "server_hello"
            local allowed = form == "finished" or hello and wire.decode(cut, message.options).extensions == nil
            assert.is_true(allowed, message.name .. ": " .. form)
          end
        end
      end
    end
    assert.is_true(cuts > 100000, cuts)
    assert.is_true(whole > 100, whole)
  end)
end)

describe("mutations of them", function()
  -- What must hold for any bytes at all: they come back; and the two decoders, the strict one and the one that keeps everything, agree
  -- on whether there is something wrong.
  local function property(n, seed)
    local corpus, random = all_messages(), byte_mutations.random(seed)
    for _, name in ipairs(names) do
      for _, flow in ipairs(vectors.load(name)) do corpus[#corpus + 1] = { bytes = flow.bytes } end
    end
    local accepted = 0
    for _ = 1, n do
      local sample = corpus[random(1, #corpus)]
      local bytes = byte_mutations.apply(sample.bytes, random, corpus[random(1, #corpus)].bytes)
      local node = reencodes(bytes, sample.options)
      if sample.options then
        local ok, form, failure = wire.check(bytes, sample.options)
        if ok then
          accepted = accepted + 1
          if node.notes then error("accepted and noted: " .. node.notes[1].note .. " " .. hex(bytes)) end
          if wire.recode(bytes:sub(5), form) ~= bytes:sub(5) then error("changed by its C struct: " .. hex(bytes)) end
        elseif not node.notes and failure.code ~= "duplicate_extension" and failure.code ~= "unexpected_message" then
          error("refused and not noted: " .. form .. " " .. hex(bytes))
        end
      end
    end
    print(("%d mutated messages came back as they were (seed %d); the strict decode accepts %d of them"):format(n, seed, accepted))
    assert.is_true(accepted > n // 100, accepted)
  end

  described("come back, 200,000 of them", function() property(200000, 1) end)

  described("come back, millions of them #slow", function()
    property(tonumber(os.getenv "AKUSHU_MUTATIONS") or 2000000, tonumber(os.getenv "AKUSHU_SEED") or 2)
  end)
end)
