--- Captures: pcap and pcapng files, and the TCP connections in them.
--
--     for _, s in ipairs(pcap.streams(bytes)) do
--       s.client, s.server          "address port" of who began and of the other
--       for _, part in ipairs(s) do part.from, part.bytes, part.time end      in the order in which the bytes became readable
--     end
--
-- TCP is put together by sequence number: retransmissions, overlaps and segments out of order are settled; a gap ends a direction (s.gap.client, s.gap.server: true).
local misuse = require "akushu.misuse"

local pcap = {}

-- ---- the files -----------------------------------------------------------------------------------------------------------------

-- Not a capture, or none that goes on making sense.
local function bad(...)
  local text = (...):format(select(2, ...))
  return nil, text, { code = "bad_capture", origin = "local", message = text }
end

-- pcap: a global header, then packets.
local forms = { ["\xd4\xc3\xb2\xa1"] = { "<", 1e6 }, ["\xa1\xb2\xc3\xd4"] = { ">", 1e6 }, ["\x4d\x3c\xb2\xa1"] = { "<", 1e9 },
  ["\xa1\xb2\x3c\x4d"] = { ">", 1e9 } }

local function classic(bytes, packets)
  local form = forms[bytes:sub(1, 4)]
  if #bytes < 24 then return bad "the capture ends in its header" end
  local e = form[1]
  local link = string.unpack(e .. "I4", bytes, 21) & 0x0fffffff
  local at = 25
  while at + 16 <= #bytes + 1 do
    local seconds, part, n = string.unpack(e .. "I4I4I4", bytes, at)
    if at + 16 + n > #bytes + 1 then break end -- cut off while it was written
    packets[#packets + 1] = { link = link, time = seconds + part / form[2], bytes = bytes:sub(at + 16, at + 15 + n) }
    at = at + 16 + n
  end
  return packets
end

local function interface(e, block)
  local link = string.unpack(e .. "I2", block, 9)
  local resolution = 1e6
  local at = 17
  while at + 4 <= #block - 3 do -- options
    local code, n = string.unpack(e .. "I2I2", block, at)
    if code == 0 then break end
    if code == 9 and n == 1 then
      local v = block:byte(at + 4)
      resolution = v & 0x80 ~= 0 and 2.0 ^ (v & 0x7f) or 10.0 ^ v
    end
    at = at + 4 + (n + 3) // 4 * 4
  end
  return { link = link, resolution = resolution }
end

-- pcapng: blocks; sections may change the byte order, interfaces the link type.
local function next_generation(bytes, packets)
  local at, e, interfaces = 1, "<", {}
  while at + 12 <= #bytes + 1 do
    local kind = string.unpack(e .. "I4", bytes, at)
    if bytes:sub(at, at + 3) == "\x0a\x0d\x0d\x0a" then
      e = bytes:sub(at + 8, at + 11) == "\x1a\x2b\x3c\x4d" and ">" or "<"
      interfaces, kind = {}, -1
    end
    local n = string.unpack(e .. "I4", bytes, at + 4)
    if n < 12 or n % 4 ~= 0 then return bad("a block of %d bytes at %d", n, at - 1) end
    if at + n > #bytes + 1 then break end
    local block = bytes:sub(at, at + n - 1)
    if kind == 1 and n >= 20 then
      interfaces[#interfaces + 1] = interface(e, block)
    elseif kind == 6 and n >= 32 then -- enhanced packet
      local id, high, low, captured = string.unpack(e .. "I4I4I4I4", block, 9)
      local i = interfaces[id + 1]
      if i and captured <= n - 32 then
        packets[#packets + 1] = { link = i.link, time = (high * 4294967296 + low) / i.resolution, bytes = block:sub(29, 28 + captured) }
      end
    elseif kind == 3 and n >= 16 and interfaces[1] then -- simple packet
      local length = string.unpack(e .. "I4", block, 9)
      packets[#packets + 1] = { link = interfaces[1].link, time = 0, bytes = block:sub(13, 12 + math.min(length, n - 16)) }
    end
    at = at + n
  end
  return packets
end

--- The packets of a file: { link = link type, time = seconds, bytes = }; nil, message, failure (code `bad_capture`) for what is neither pcap nor pcapng.
function pcap.packets(bytes)
  misuse.want("pcap.packets", "string", "the bytes of a capture", bytes)
  local packets = {}
  if forms[bytes:sub(1, 4)] then return classic(bytes, packets) end
  if bytes:sub(1, 4) == "\x0a\x0d\x0d\x0a" then return next_generation(bytes, packets) end
  return bad "neither a pcap nor a pcapng file"
end

-- ---- the layers below TCP -----------------------------------------------------------------------------------------------------------

local function ethernet(p)
  local at, kind = 15, #p >= 14 and string.unpack(">I2", p, 13) or 0
  while (kind == 0x8100 or kind == 0x88a8 or kind == 0x9100) and #p >= at + 3 do
    kind = string.unpack(">I2", p, at + 2)
    at = at + 4
  end
  return (kind == 0x0800 or kind == 0x86dd) and p:sub(at) or nil
end

-- Link types (tcpdump.org/linktypes.html) to what strips them.
local links = {
  [0] = function(p) return p:sub(5) end,                -- NULL: BSD loopback
  [1] = ethernet,
  [12] = function(p) return p end, [14] = function(p) return p end, [101] = function(p) return p end, -- raw IP
  [108] = function(p) return p:sub(5) end,              -- OpenBSD loopback
  [113] = function(p) return p:sub(17) end,             -- Linux "cooked"
  [228] = function(p) return p end, [229] = function(p) return p end,
  [276] = function(p) return p:sub(21) end,             -- Linux "cooked" v2
}

local function address4(s) return ("%d.%d.%d.%d"):format(s:byte(1, 4)) end

-- As RFC 5952 writes them: the longest run of two zeros or more is "::".
local function address6(s)
  local words, best, long = { string.unpack(">I2I2I2I2I2I2I2I2", s) }, nil, 1
  for i = 1, 8 do
    local n = 0
    while i + n <= 8 and words[i + n] == 0 do n = n + 1 end
    if n > long then best, long = i, n end
  end
  local function hex(from, to)
    local out = {}
    for i = from, to do out[#out + 1] = ("%x"):format(words[i]) end
    return table.concat(out, ":")
  end
  if not best then return hex(1, 8) end
  return hex(1, best - 1) .. "::" .. hex(best + long, 8)
end

-- IPv6 extension headers before TCP: hop-by-hop, routing, destination options.
local skipped = { [0] = true, [43] = true, [60] = true }

-- The TCP segment of an IP packet with the addresses; nil when it is none (fragments are left out).
local function tcp_of(p)
  if #p < 20 then return nil end
  local version = p:byte() >> 4
  if version == 4 then
    local head, total, fragment = (p:byte() & 15) * 4, string.unpack(">I2", p, 3), string.unpack(">I2", p, 7)
    if p:byte(10) ~= 6 or fragment & 0x3fff ~= 0 or head < 20 then return nil end
    if total == 0 then total = #p end -- segmentation left to the network card
    return p:sub(head + 1, total), address4(p:sub(13, 16)), address4(p:sub(17, 20))
  elseif version == 6 and #p >= 40 then
    local total, kind, at = string.unpack(">I2", p, 5), p:byte(7), 41
    local last = total == 0 and #p or 40 + total
    while skipped[kind] and at + 8 <= #p do
      kind, at = p:byte(at), at + (p:byte(at + 1) + 1) * 8
    end
    if kind ~= 6 then return nil end
    return p:sub(at, last), address6(p:sub(9, 24)), address6(p:sub(25, 40))
  end
  return nil
end

-- ---- TCP
-- ---------------------------------------------------------------------------------------------------------------------------------

-- a - b of sequence numbers, as a signed distance.
local function distance(a, b)
  local d = (a - b) & 0xffffffff
  return d >= 0x80000000 and d - 0x100000000 or d
end

local function deliver(stream, way, bytes, time)
  stream[#stream + 1] = { from = way.from, bytes = bytes, time = time }
end

-- What comes too early is kept in the order of its sequence numbers, up to a bound: who sends more out of order than that has lost something.
local MOST_EARLY = 4096

local function keep_early(way, seq, bytes)
  local list = way.early
  if #list >= MOST_EARLY then
    way.lost = true
    return
  end
  local low, high = 1, #list + 1
  while low < high do
    local middle = (low + high) // 2
    if distance(list[middle].seq, seq) <= 0 then low = middle + 1 else high = middle end
  end
  table.insert(list, low, { seq = seq, bytes = bytes })
end

-- Takes what continues the bytes so far; of bytes that come twice the first ones count.
local function segment(stream, way, seq, bytes, time)
  if #bytes == 0 then return end
  way.next = way.next or seq
  if distance(seq, way.next) > 0 then return keep_early(way, seq, bytes) end
  local first = 1
  while true do
    local seen = -distance(seq, way.next)
    if seen < #bytes then
      deliver(stream, way, bytes:sub(1 + seen), time)
      way.next = (seq + #bytes) & 0xffffffff
    end
    local early = way.early[first]
    if not early or distance(early.seq, way.next) > 0 then break end
    seq, bytes = early.seq, early.bytes
    first = first + 1
  end
  if first > 1 then way.early = table.move(way.early, first, #way.early, 1, {}) end
end

local function new_stream(client, server)
  return { client = client, server = server, ways = { [client] = { from = "client", early = {} }, [server] = { from = "server",
    early = {} } } }
end

local FIN, SYN, RST, ACK = 1, 2, 4, 16

local function tcp(streams, open, packet, from, to, time)
  if #packet < 20 then return end
  local from_port, to_port, seq = string.unpack(">I2I2I4", packet)
  local head, flags = (packet:byte(13) >> 4) * 4, packet:byte(14)
  if head < 20 then return end
  local a, b = from .. " " .. from_port, to .. " " .. to_port
  local key = a < b and a .. "|" .. b or b .. "|" .. a
  local stream = open[key]
  -- The same ports, used again; but not the same SYN, seen again.
  if flags & SYN ~= 0 and flags & ACK == 0 and stream and stream.ways[a].first ~= seq and (stream.over or #stream > 0) then stream = nil end
  if not stream then
    -- Without the SYN: whoever speaks first is taken for the client.
    local by_server = flags & (SYN | ACK) == SYN | ACK
    stream = by_server and new_stream(b, a) or new_stream(a, b)
    open[key] = stream
    streams[#streams + 1] = stream
  end
  local way = stream.ways[a]
  if flags & SYN ~= 0 then
    way.first = way.first or seq
    seq = (seq + 1) & 0xffffffff
    way.next = way.next or seq
  end
  segment(stream, way, seq, packet:sub(head + 1), time)
  if flags & (FIN | RST) ~= 0 then
    way.over = true
    stream.over = flags & RST ~= 0 or stream.ways[stream.client].over and stream.ways[stream.server].over
  end
end

--- The TCP connections of a capture, in the order in which they begin: see above; nil, message, failure as pcap.packets. Packets that are not TCP over IP are passed over.
function pcap.streams(bytes)
  misuse.want("pcap.streams", "string", "the bytes of a capture", bytes)
  local streams, open = {}, {}
  local packets, message, failure = pcap.packets(bytes)
  if not packets then return nil, message, failure end
  for _, p in ipairs(packets) do
    local strip = links[p.link]
    local ip = strip and strip(p.bytes)
    if ip then
      local packet, from, to = tcp_of(ip)
      if packet then tcp(streams, open, packet, from, to, p.time) end
    end
  end
  for _, s in ipairs(streams) do
    for _, way in pairs(s.ways) do
      if #way.early > 0 or way.lost then
        s.gap = s.gap or {}
        s.gap[way.from] = true
      end
    end
    s.ways = nil
  end
  return streams
end

return pcap
