--- Plaintext that has come and that nobody has taken yet: pieces, joined only as far as somebody asks.
local Inbox = {}
Inbox.__index = Inbox

function Inbox.new() return setmetatable({ pieces = {}, first = 1, last = 0, at = 1, size = 0 }, Inbox) end

function Inbox:put(bytes)
  if bytes == "" then return end
  self.last = self.last + 1
  self.pieces[self.last] = bytes
  self.size = self.size + #bytes
end

local function drop_first(self)
  self.pieces[self.first] = nil
  self.first, self.at = self.first + 1, 1
end

--- The first n bytes, of which there are as many; they are here no longer.
function Inbox:take(n)
  local first, from = self.pieces[self.first], self.at
  if first and #first - from + 1 > n then -- it goes on behind them
    self.size, self.search, self.at = self.size - n, nil, from + n
    return first:sub(from, from + n - 1)
  end
  local out, missing = {}, n
  while missing > 0 do
    local piece, at = self.pieces[self.first], self.at
    local left = #piece - at + 1
    if left > missing then
      out[#out + 1] = piece:sub(at, at + missing - 1)
      self.at = at + missing
      break
    end
    out[#out + 1] = at == 1 and piece or piece:sub(at)
    missing = missing - left
    drop_first(self)
  end
  self.size, self.search = self.size - n, nil
  return table.concat(out)
end

-- Where the mark ends in the next piece that was not looked at, counted from the first byte here; `before`: the end of what was, in which a mark may have begun.
local function find_in_next(self, search)
  local at = search.next == self.first and self.at or 1
  local text, mark = self.pieces[search.next], search.mark
  local passed, before = search.passed, search.before
  local _, last
  if before == "" then
    _, last = text:find(mark, at, true)
    if last then return passed + last - at + 1 end
  else
    text, at, passed = before .. text, 1, passed - #before
    _, last = text:find(mark, 1, true)
    if last then return passed + last end
  end
  search.passed = passed + #text - at + 1
  search.before = #mark > 1 and text:sub(math.max(at, #text - #mark + 2)) or ""
  search.next = search.next + 1
  return nil
end

--- How many bytes there are up to the end of the first mark (a plain string); nil: it has not come. Asked again when more has come, it looks at that alone.
function Inbox:find(mark)
  local search = self.search
  if not search or search.mark ~= mark then
    search = { mark = mark, next = self.first, passed = 0, before = "" }
    self.search = search
  end
  while search.next <= self.last do
    local n = find_in_next(self, search)
    if n then
      self.search = nil
      return n
    end
  end
  return nil
end

return Inbox
