--- akushu.wire: the codec (csrc/binding/lwire.c), and what can be said of its nodes with paths and spans alone.
--
--     local wire = require "akushu.wire"
--     print(wire.annotate(wire.decode(bytes)))
--     for _, d in ipairs(wire.diff(mine, theirs)) do print(d.path, d.a, d.b) end
local misuse = require "akushu.misuse"
local wire = require("akushu.core").wire

-- Keys that a decoder adds and that are no part of what a node says.
local aside = { note = true, notes = true }

-- "extensions[3].data" as { "extensions", 3, "data" }.
local function steps(path)
  misuse.want("path", "string", "a path such as \"extensions[3].data\"", path, 3)
  local found, at = {}, 1
  while at <= #path do
    local name, after = path:match("^%.?([%a_][%w_]*)()", at)
    if not name then
      local index
      index, after = path:match("^%[(%d+)%]()", at)
      name = tonumber(index)
    end
    if not name then error("no path of a node: " .. path, 3) end
    found[#found + 1], at = name, after
  end
  return found
end

--- The value at a path; nil when there is none.
function wire.get(node, path)
  for _, step in ipairs(steps(path)) do
    if type(node) ~= "table" then return nil end
    node = rawget(node, step)
  end
  return node
end

--- Puts a value at a path, whose parent must be there. Returns the node.
function wire.set(node, path, value)
  local list = steps(path)
  local parent = node
  for i = 1, #list - 1 do
    parent = type(parent) == "table" and rawget(parent, list[i]) or nil
  end
  if #list == 0 or type(parent) ~= "table" then error("there is nothing at " .. path, 2) end
  parent[list[#list]] = value
  return node
end

local function sorted_keys(a, b)
  local keys, seen = {}, {}
  for _, t in ipairs { a, b } do
    for key in pairs(t) do
      if not seen[key] and not aside[key] then
        seen[key] = true
        keys[#keys + 1] = key
      end
    end
  end
  table.sort(keys, function(x, y)
    if type(x) ~= type(y) then return type(x) == "number" end
    return x < y
  end)
  return keys
end

local function differences(found, path, a, b)
  if type(a) == "table" and type(b) == "table" then
    for _, key in ipairs(sorted_keys(a, b)) do
      local step = type(key) == "number" and ("[%d]"):format(key) or (path ~= "" and "." or "") .. key
      differences(found, path .. step, rawget(a, key), rawget(b, key))
    end
  elseif a ~= b then
    found[#found + 1] = { path = path, a = a, b = b }
  end
  return found
end

--- Where two nodes differ: a list of { path =, a =, b = }, by the names of the fields; empty when they say the same. Notes do not count.
function wire.diff(a, b) return differences({}, "", a, b) end

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x "):format(c:byte()) end))
end

-- A name, a number, bytes that can be read, or how many bytes there are.
local function in_words(value, bytes, length)
  if value == "" then return "empty" end
  if type(value) == "string" and value ~= bytes then return value end
  if type(value) == "string" and #value <= 64 and value:find "^[%g ]*$" then return '"' .. value .. '"' end
  if type(value) == "number" then return ("%d (0x%s)"):format(value, (hex(bytes):gsub(" ", ""))) end
  return ("%d byte%s"):format(length, length == 1 and "" or "s")
end

--- A message, record or list of them as text, a line for each node: offset, the first bytes, path, value. Options as for wire.encode.
function wire.annotate(node, options)
  local bytes, lines = misuse.blame(2, wire.encode, node, options), {}
  local spans = wire.spans(node, options)
  for i, span in ipairs(spans) do
    local following = spans[i + 1]
    local leaf = not following or following.path:sub(1, #span.path) ~= span.path
      or span.path ~= "" and not following.path:sub(#span.path + 1, #span.path + 1):find "[%.%[]"
    local part = bytes:sub(span.offset + 1, span.offset + span.length)
    local shown = leaf and hex(part:sub(1, 8)) or ""
    if leaf and span.length > 8 then shown = shown .. "…" end
    local value = type(node) == "table" and wire.get(node, span.path) or nil
    local pad = (" "):rep(26 - utf8.len(shown))
    local path = span.path ~= "" and span.path or type(node) == "table" and (node.type or node.what or node.form) or "bytes"
    lines[#lines + 1] = ("%6d  %s%s%s: %s"):format(span.offset, shown, pad, path, in_words(leaf and value or nil, part, span.length))
  end
  for _, note in ipairs(type(node) == "table" and node.notes or {}) do
    lines[#lines + 1] = ("%6d  ! %s%s"):format(note.offset, note.path ~= "" and note.path .. ": " or "", note.note)
  end
  return table.concat(lines, "\n")
end

return wire
