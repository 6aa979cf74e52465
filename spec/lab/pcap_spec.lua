-- Capture files: pcap and pcapng in both byte orders, link types, IPv4 and IPv6, TCP segments in every disorder, many connections in one file; read by the
-- passive peer to the data that was sent.
local akushu = require "akushu"
local passive = require "akushu.passive"
local pcap = require "akushu.pcap"

-- What f does, whatever the machine does besides: instructions of Lua's, in thousands, and kilobytes that it asked for; then what it returned.
local function work(f, ...)
  local thousands = 0
  collectgarbage()
  collectgarbage "stop"
  local before = collectgarbage "count"
  debug.sethook(function() thousands = thousands + 1 end, "", 1000)
  local ok, result = pcall(f, ...)
  debug.sethook()
  local kilobytes = collectgarbage "count" - before
  collectgarbage "restart"
  assert(ok, result)
  return thousands, kilobytes, result
end

-- ---- a connection, and its packets -----------------------------------------------------------------------------------------------------

-- What went over the network in a lab's run, with the key log of it.
local function recorded(seed, version)
  local lab = akushu.lab { seed = seed }
  local keylog = {}
  local t = lab:run(lab:client { versions = version, keylog = function(line) keylog[#keylog + 1] = line end }, lab:server { versions = version },
    { data = { "question " .. seed, "answer " .. seed }, close = true })
  local flows = {}
  for _, e in ipairs(t:all "wire") do flows[#flows + 1] = { from = e.from, bytes = e.bytes } end
  return flows, table.concat(keylog, "\n")
end

local SYN, ACK, PSH, FIN = 2, 16, 8, 1
local v4 = { client = "\10\0\0\1", server = "\10\0\0\2" }
local v6 = { client = "\32\1\13\184" .. ("\0"):rep(11) .. "\1", server = "\32\1\13\184\0\0\0\1" .. ("\0"):rep(7) .. "\2" }

local function tcp(from_port, to_port, seq, flags, bytes, options)
  options = options or ""
  return string.pack(">I2I2I4I4BBI2I2I2", from_port, to_port, seq & 0xffffffff, 0, (20 + #options) // 4 << 4, flags, 65535, 0, 0) .. options .. bytes
end

local function ip(o, from, to, segment)
  if o.v6 then
    if o.extension then segment = "\6\0\1\4\0\0\0\0" .. segment end
    return string.pack(">I4I2BB", 0x60000000, #segment, o.extension and 0 or 6, 64) .. from .. to .. segment
  end
  local options = o.extension and "\1\1\1\1" or ""
  return string.pack(">BBI2I2I2BBI2", 0x45 + #options // 4, 0, 20 + #options + #segment, 0, 0x4000, 64, 6, 0) .. from .. to .. options .. segment
end

-- A conversation as TCP segments: { from, bytes (IP packet), seq }; o: size of segments, v6, extension, port, isn, syn = false.
local function segments(flows, o)
  o = o or {}
  local address, port = o.v6 and v6 or v4, { client = o.port or 40000, server = 443 }
  local other, seq, out = { client = "server", server = "client" }, { client = o.isn or 1000, server = 0xfffffff0 }, {}
  local function add(from, flags, bytes)
    out[#out + 1] = { from = from, bytes = ip(o, address[from], address[other[from]], tcp(port[from], port[other[from]], seq[from], flags, bytes,
      o.extension and "\1\1\8\10\0\0\0\0\0\0\0\0" or nil)) }
    seq[from] = seq[from] + #bytes + (flags & (SYN | FIN) ~= 0 and 1 or 0)
  end
  if o.syn ~= false then
    add("client", SYN, "")
    add("server", SYN | ACK, "")
  else
    seq.client, seq.server = seq.client + 1, seq.server + 1
  end
  add("client", ACK, "")
  for _, f in ipairs(flows) do
    local size = o.size or 1400
    for at = 1, #f.bytes, size do add(f.from, ACK | PSH, f.bytes:sub(at, at + size - 1)) end
  end
  add("client", FIN | ACK, "")
  add("server", FIN | ACK, "")
  return out
end

-- ---- files ---------------------------------------------------------------------------------------------------------------------------------

local function is_v6(p) return #p > 0 and p:byte() >> 4 == 6 end

local wrap = {
  [0] = function(p) return "\2\0\0\0" .. p end,
  [1] = function(p) return ("\0"):rep(12) .. (is_v6(p) and "\x86\xdd" or "\8\0") .. p end,
  [101] = function(p) return p end,
  [113] = function(p) return ("\0"):rep(14) .. (is_v6(p) and "\x86\xdd" or "\8\0") .. p end,
  [276] = function(p) return (is_v6(p) and "\x86\xdd" or "\8\0") .. ("\0"):rep(18) .. p end,
  vlan = function(p) return ("\0"):rep(12) .. "\x81\0\0\7" .. (is_v6(p) and "\x86\xdd" or "\8\0") .. p end,
  qinq = function(p) return ("\0"):rep(12) .. "\x88\xa8\0\1\x81\0\0\7" .. "\8\0" .. p end,
}

local function classic(packets, link, e, magic)
  e = e or "<"
  local out = { string.pack(e .. "I4I2I2I4I4I4I4", magic or 0xa1b2c3d4, 2, 4, 0, 0, 262144, type(link) == "number" and link or 1) }
  for i, p in ipairs(packets) do
    local bytes = wrap[link](p.bytes)
    out[#out + 1] = string.pack(e .. "I4I4I4I4", i, 0, #bytes, #bytes) .. bytes
  end
  return table.concat(out)
end

local function block(e, kind, body)
  body = body .. ("\0"):rep(-#body % 4)
  return string.pack(e .. "I4I4", kind, #body + 12) .. body .. string.pack(e .. "I4", #body + 12)
end

-- pcapng; every second packet on a second interface with another link type; o.simple: simple packet blocks on the first alone.
local function next_generation(packets, links, o)
  o = o or {}
  local e = o.e or "<"
  local out = { block(e, 0x0a0d0d0a, string.pack(e .. "I4I2I2i8", 0x1a2b3c4d, 1, 0, -1)) }
  for _, link in ipairs(links) do
    out[#out + 1] = block(e, 1, string.pack(e .. "I2I2I4", link, 0, 0) .. string.pack(e .. "I2I2B", 9, 1, 9) .. "\0\0\0" .. string.pack(e .. "I2I2", 0, 0))
  end
  for i, p in ipairs(packets) do
    local n = (i - 1) % #links
    local bytes = wrap[links[n + 1]](p.bytes)
    if o.simple then out[#out + 1] = block(e, 3, string.pack(e .. "I4", #bytes) .. bytes)
    else
      out[#out + 1] = block(e, 6, string.pack(e .. "I4I4I4I4I4", n, i // 4, i % 4 * 1000000000, #bytes, #bytes) .. bytes .. ("\0"):rep(-#bytes % 4) ..
        string.pack(e .. "I2I2", 0, 0))
    end
    if i % 7 == 0 then out[#out + 1] = block(e, 5, "\0\0\0\0 statistics that nobody needs ") end
  end
  return table.concat(out)
end

-- ---- the specs ----------------------------------------------------------------------------------------------------------------------------

local function check(file, keylog, seed, problems)
  local found = passive.pcap(file, { keylog = keylog })
  assert.equal(1, #found)
  local p = found[1]
  assert.same(problems or {}, p.problems)
  assert.same({ client = "question " .. seed, server = "answer " .. seed }, p.data)
  return p
end

describe("a capture file", function()
  for _, version in ipairs { "1.2", "1.3" } do
    local flows, keylog = recorded("file", version)

    it("is pcap in both byte orders, with micro- and nanoseconds: TLS " .. version, function()
      for _, e in ipairs { "<", ">" } do
        for _, magic in ipairs { 0xa1b2c3d4, 0xa1b23c4d } do check(classic(segments(flows), 1, e, magic), keylog, "file") end
      end
    end)

    it("is pcapng in both byte orders, with interfaces of several kinds: TLS " .. version, function()
      for _, e in ipairs { "<", ">" } do
        check(next_generation(segments(flows), { 1 }, { e = e }), keylog, "file")
        check(next_generation(segments(flows), { 1, 101, 113 }, { e = e }), keylog, "file")
        check(next_generation(segments(flows), { 101 }, { e = e, simple = true }), keylog, "file")
      end
      -- Two sections, of two byte orders, in one file.
      local all = segments(flows)
      local half = #all // 2
      check(next_generation({ table.unpack(all, 1, half) }, { 1 }, { e = "<" }) .. next_generation({ table.unpack(all, half + 1) }, { 276 }, { e = ">" }),
        keylog, "file")
    end)

    it("has link types: loopback, Ethernet, VLANs, raw IP, Linux cooked: TLS " .. version, function()
      for link in pairs(wrap) do
        check(classic(segments(flows), link), keylog, "file")
        if link ~= "qinq" then check(classic(segments(flows, { v6 = true }), link), keylog, "file") end
      end
    end)

    it("has IPv6, options and extension headers: TLS " .. version, function()
      local p = check(classic(segments(flows, { v6 = true, extension = true }), 1), keylog, "file")
      assert.same({ client = "2001:db8::1 40000", server = "2001:db8:0:1::2 443" }, p.address)
      p = check(classic(segments(flows, { extension = true }), 1), keylog, "file")
      assert.same({ client = "10.0.0.1 40000", server = "10.0.0.2 443" }, p.address)
    end)
  end

  it("is refused when it is none, and read as far as it goes when it is cut off", function()
    local flows, keylog = recorded("file", "1.3")
    for bytes, said in pairs { ["no capture"] = "neither a pcap nor a pcapng file", [""] = "neither a pcap nor a pcapng file",
      ["\xd4\xc3\xb2\xa1"] = "the capture ends in its header", ["\x0a\x0d\x0d\x0a\5\0\0\0\x4d\x3c\x2b\x1a"] = "a block of 5 bytes at 0" } do
      for _, read in ipairs { passive.pcap, pcap.streams, pcap.packets } do
        local none, message, failure = read(bytes)
        assert.is_nil(none)
        assert.equal(said, message)
        assert.same({ code = "bad_capture", origin = "local", message = said }, failure)
      end
    end
    for _, whole in ipairs { classic(segments(flows), 1), next_generation(segments(flows), { 1 }) } do
      for n = 40, #whole, 97 do passive.pcap(whole:sub(1, n), { keylog = keylog }) end
      -- A byte changed anywhere changes what is read, or ends it in words: it never ends in another way.
      for at = 1, #whole, 31 do
        local ok, why = pcall(passive.pcap, whole:sub(1, at - 1) .. string.char(whole:byte(at) ~ 0x55) .. whole:sub(at + 1), { keylog = keylog })
        assert.is_true(ok or why:find "^pcap: " ~= nil, tostring(why))
      end
    end
  end)
end)

describe("TCP in a capture", function()
  local flows, keylog = recorded("tcp", "1.3")
  local flows12, keylog12 = recorded("tcp", "1.2")
  local random = require "akushu.mutations".generator "disorder"

  local function both(change, o, problems)
    check(classic(change(segments(flows, o)), 1), keylog, "tcp", problems)
    check(classic(change(segments(flows12, o)), 1), keylog12, "tcp", problems)
  end

  it("comes in segments of any size, over the end of the sequence numbers", function()
    for _, size in ipairs { 1, 2, 7, 100, 1400 } do both(function(s) return s end, { size = size, isn = 0xffffffff - 100 }) end
  end)

  it("comes out of order", function()
    for _ = 1, 20 do
      both(function(s)
        for i = 4, #s - 3 do
          local j = i + random(4)
          if j <= #s - 2 then s[i], s[j] = s[j], s[i] end
        end
        return s
      end, { size = 50 })
    end
  end)

  it("comes twice, also when the second one is longer or shorter, or comes late", function()
    both(function(s)
      local out = {}
      for i, p in ipairs(s) do
        out[#out + 1] = p
        if random(2) == 0 then out[#out + 1] = p end
        if i > 5 and random(3) == 0 then out[#out + 1] = s[i - random(4)] end
      end
      return out
    end, { size = 50 })
    -- Overlaps: the same bytes cut in two ways, put between each other.
    for _, case in ipairs { { flows, keylog }, { flows12, keylog12 } } do
      local a, b, out = segments(case[1], { size = 50 }), segments(case[1], { size = 33 }), {}
      for i = 1, math.max(#a, #b) do
        out[#out + 1] = b[i]
        out[#out + 1] = a[i]
      end
      check(classic(out, 1), case[2], "tcp")
    end
  end)

  it("begins without its SYN, with either side first", function()
    both(function(s) return s end, { syn = false })
    both(function(s)
      table.remove(s, 1) -- the client's empty ACK
      -- the server's first segment before the client's
      for i, p in ipairs(s) do
        if p.from == "server" then
          table.insert(s, 1, table.remove(s, i))
          break
        end
      end
      return s
    end, { syn = false })
  end)

  it("has a gap: what was before it is read, and it is said", function()
    local s = segments(flows, { size = 50 })
    local n = 0
    for i, p in ipairs(s) do
      if p.from == "server" then n = n + 1 end
      if n == 8 then
        table.remove(s, i)
        break
      end
    end
    local p = passive.pcap(classic(s, 1), { keylog = keylog })[1]
    assert.equal("", p.data.server)
    assert.matches("server: bytes are missing in the capture", table.concat(p.problems, "\n"))
    assert.same({ server = true }, pcap.streams(classic(s, 1))[1].gap)
  end)

  it("costs twice as much for twice as many segments in the worst order, no more", function()
    local function file(n)
      local s = segments({ { from = "client", bytes = ("x"):rep(n) } }, { size = 1 })
      local out = { s[1], s[2] }
      for i = #s - 2, 4, -1 do out[#out + 1] = s[i] end
      return classic(out, 1)
    end
    local steps, memory = work(pcap.streams, file(2000))
    local more_steps, more_memory, streams = work(pcap.streams, file(4000))
    assert.is_true(more_steps < 3 * steps, ("%d thousand steps, then %d thousand"):format(steps, more_steps))
    assert.is_true(more_memory < 3 * memory, ("%.0f K, then %.0f K"):format(memory, more_memory))
    local got = {}
    for i, part in ipairs(streams[1]) do got[i] = part.bytes end
    assert.equal(("x"):rep(4000), table.concat(got))
    assert.is_nil(streams[1].gap)
  end)
end)

describe("many connections in one file", function()
  it("are told apart, also when the ports are used again, and share what can be resumed", function()
    local all, logs, seeds = {}, {}, {}
    local queues = {}
    for i = 1, 12 do
      local version = i % 2 == 0 and "1.2" or "1.3"
      local seed = "connection " .. i
      local flows, keylog = recorded(seed, version)
      logs[i], seeds[i] = keylog, seed
      queues[i] = segments(flows, { port = 40000 + i % 6, isn = i * 1000, size = 100, v6 = i % 3 == 0 })
    end
    -- Six at a time, interleaved; the next six use their ports again.
    for round = 0, 1 do
      local left = true
      while left do
        left = false
        for i = 1 + 6 * round, 6 + 6 * round do
          local p = table.remove(queues[i], 1)
          if p then
            all[#all + 1] = p
            left = true
          end
        end
      end
    end
    -- And something that is no TLS, some UDP, a fragment, garbage.
    all[#all + 1] = { bytes = ip({}, v4.client, v4.server, tcp(5000, 80, 1, ACK, "GET / HTTP/1.0\r\n\r\n")) }
    all[#all + 1] = { bytes = "\x45\0\0\28" .. ("\0"):rep(5) .. "\17" .. ("\0"):rep(18) }
    all[#all + 1] = { bytes = "\x45" }
    all[#all + 1] = { bytes = "" }
    local found = passive.pcap(classic(all, 1), { keylog = table.concat(logs, "\n") })
    assert.equal(12, #found)
    local seen = {}
    for _, p in ipairs(found) do
      assert.same({}, p.problems)
      seen[p.data.client:match "question (.*)"] = p.data.server
    end
    for _, seed in ipairs(seeds) do assert.equal("answer " .. seed, seen[seed]) end
  end)

  it("do not take a SYN that was recorded twice for another one", function()
    local flows, keylog = recorded("twice", "1.3")
    local s = segments(flows)
    table.insert(s, 6, s[1])
    table.insert(s, 8, s[2])
    check(classic(s, 1), keylog, "twice")
  end)
end)

describe("a long recording", function()
  -- n bytes of data, handshake messages in records of one byte; read in pieces of 1400 bytes.
  local function recording(n)
    local lab, keylog = akushu.lab { seed = "long" }, {}
    local client = lab:client { versions = "1.3", keylog = function(line) keylog[#keylog + 1] = line end }:handshake { server_name = "localhost" }
    local server = lab:server { versions = "1.3" }:handshake {}
    server:on("send", "*", function(_, ev)
      if ev.content_type == "handshake" then ev:fragment(1) end
    end)
    local t = lab:run(client, server, { data = { ("question"):rep(n // 8), "answer" } })
    assert.is_true(t.ok, t.client.message)
    local pieces = {}
    for _, e in ipairs(t:all "wire") do
      for at = 1, #e.bytes, 1400 do pieces[#pieces + 1] = { e.from, e.bytes:sub(at, at + 1399) } end
    end
    return function()
      local p = passive.new { keylog = keylog }
      for _, piece in ipairs(pieces) do p:feed(piece[1], piece[2]) end
      p:finish()
      return p
    end
  end

  it("is read, however it is cut", function()
    local p = recording(4000000)()
    assert.same({}, p.problems)
    assert.equal(("question"):rep(500000), p.data.client)
    assert.equal("answer", p.data.server)
  end)

  it("costs four times as much when it is four times as long, no more", function()
    local steps, memory = work(recording(400000))
    local more_steps, more_memory, p = work(recording(1600000))
    assert.is_true(steps < 2000, ("%d thousand steps"):format(steps)) -- a handshake of a thousand records is most of it
    assert.is_true(more_steps < 6 * steps, ("%d thousand steps, then %d thousand"):format(steps, more_steps))
    assert.is_true(more_memory < 6 * memory, ("%.0f K, then %.0f K"):format(memory, more_memory))
    assert.same({}, p.problems)
    assert.equal(("question"):rep(200000), p.data.client)
  end)
end)
