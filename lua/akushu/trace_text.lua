--- A trace for people and for programs: its text at three levels of detail, and JSON (trace.lua).
local show = require "akushu.show"

local methods = {}

local function arrow(from) return from == "server" and "client <── server" or "client ──> server" end

local function first_names(list, most)
  local out = {}
  for i = 1, math.min(#list, most) do out[i] = tostring(list[i]) end
  return table.concat(out, " ") .. (#list > most and (" … (%d)"):format(#list) or "")
end

local summaries = {}

function summaries.client_hello(m) return type(m.cipher_suites) == "table" and first_names(m.cipher_suites, 2) or "" end

function summaries.server_hello(m) return tostring(m.cipher_suite or m.suite or "") end
summaries.hello_retry_request = summaries.server_hello

function summaries.certificate(m)
  local list = m.certificate_list
  return type(list) == "table" and ("%d certificate%s"):format(#list, #list == 1 and "" or "s") or ""
end

local function summary(e)
  local f = summaries[e.name]
  local ok, text = pcall(function() return f and f(e.message) or "" end)
  return ok and text ~= "" and "  " .. text or ""
end

local lines = {}
local verdict_words = { delay = "delayed", coalesce = "put together with the next", fragment = "in pieces" }

function lines.message(e, level)
  if e.received and level < 3 then return nil end
  if e.received then return ("%s received %s, %d bytes"):format(e.side, e.name, #e.bytes) end
  local text = ("%s  %-22s %5d bytes%s%s%s"):format(arrow(e.from), e.name, #e.bytes, summary(e), e.dropped and "  (dropped)" or "",
    e.how and "  (" .. verdict_words[e.how] .. ")" or e.built and "  (changed)" or "")
  if level >= 2 then text = text .. "\n" .. show.message(e.message, { indent = "      " }) end
  if level >= 3 then text = text .. "\n" .. show.hex(e.bytes, "      ") end
  return text
end

function lines.record(e, level)
  if level < 3 then return nil end
  return ("%s %s %s%s, %d bytes\n%s"):format(e.side, e.received and "got" or "made", e.plain and "the fragment of a record: " or
    "a record: ", e.type, #e.bytes,
    show.hex(e.bytes, "      "))
end

function lines.secret(e, level)
  if level < 2 then return nil end
  return ("%s has %s = %s   (%s%s of %s)"):format(e.side, e.name, show.value(e.value, 48), e.op, e.label and (" %q"):format(e.label) or
    "", table.concat(e.from, " and "))
end

function lines.operation(e, level)
  if level < 3 then return nil end
  return ("%s: %s %s, %d bytes, %.1f µs"):format(e.side, e.op, e.what, e.bytes, e.ns / 1000)
end

function lines.random(e, level)
  return level >= 3 and ("%s draws %s: %s"):format(e.side, e.purpose, show.value(e.bytes)) or nil
end

function lines.verdict(e, level)
  local text = ("%s hook at %s %s: %s%s%s"):format(e.side, e.gate, e.name, e.verdict, e.inject and
    (", %d put beside it"):format(e.inject) or "",
    e.transcript and ", transcript " .. e.transcript or "")
  return (level >= 2 or e.verdict ~= "pass" or e.inject) and text or nil
end

function lines.question(e, level) return level >= 2 and ("%s asks: %s%s"):format(e.side, e.name, e.answer and " → " .. e.answer or
  "") or nil end

function lines.state(e, level) return level >= 2 and ("%s is in state %s"):format(e.side, e.state) or nil end

function lines.alert(e) return ("%s  alert %s (%s)"):format(arrow(e.from), e.description, e.level) end

function lines.data(e, level)
  return ("%s  application data       %5d bytes%s"):format(arrow(e.from), #e.bytes, level >= 2 and "  " .. show.value(e.bytes) or "")
end

function lines.wire(e, level) return level >= 3 and ("%s  %d bytes on the wire"):format(arrow(e.from), #e.bytes) or nil end

function lines.failure(e) return ("%s failed: %s (%s%s, found by %s)"):format(e.side, e.text, e.code, e.alert and ", alert " ..
  e.alert or "",
  e.origin == "local" and "itself" or "its peer") end

function lines.done(e)
  return ("%s is done: TLS %s, %s%s%s"):format(e.side, e.version, e.suite, e.group and ", " .. e.group or "", e.resumed and
    ", resumed" or "")
end

function lines.note(e) return e.text end

--- The trace as text. level 1 (default): what went to and fro, and how it ended; 2: fields, secrets, verdicts, states; 3: everything,
-- with bytes.
function methods:text(level)
  level = level or 1
  if level ~= 1 and level ~= 2 and level ~= 3 then error("a level from 1 to 3 expected", 2) end
  local out = {}
  for _, e in ipairs(self.entries) do
    local f = lines[e.kind]
    local line = f and f(e, level)
    if line then out[#out + 1] = line end
  end
  return table.concat(out, "\n")
end

--- The entries as JSON: an array of objects; bytes as hexadecimal digits, messages with their fields.
function methods:json()
  local out = {}
  for i, e in ipairs(self.entries) do
    local o = {}
    for k, v in pairs(e) do
      if type(v) == "string" and (k == "bytes" or k == "value" or k == "built" or k == "context" or
        k == "secret") then o[k] = show.to_hex(v)
      elseif k ~= "context" or type(v) ~= "table" then o[k] = v end
    end
    if e.kind == "message" then o.message = e.message end
    out[i] = o
  end
  return show.json(out)
end

return methods
