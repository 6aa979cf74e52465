--- What somebody meant who wrote a name that is not there.

-- How many letters two names are apart: one wrong, missing, too many, or two that changed places.
local function distance(a, b)
  local before, last = {}, {}
  for j = 0, #b do last[j] = j end
  for i = 1, #a do
    local row = { [0] = i }
    for j = 1, #b do
      row[j] = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a:byte(i) == b:byte(j) and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then row[j] = math.min(row[j], before[j - 2] + 1) end
    end
    before, last = last, row
  end
  return last[#b]
end

--- The end of a sentence that says that there is no such name: "; did you mean 'trust'?", or what elsewhere[name] says (what others call it), or "".
-- known: a table whose keys are the names that there are.
return function(name, known, elsewhere)
  if type(name) ~= "string" or #name > 64 then return "" end
  if elsewhere and elsewhere[name] then return "; " .. elsewhere[name] end
  local best, least = nil, #name < 4 and 1 or #name < 9 and 2 or 3
  for other in pairs(known) do
    if type(other) == "string" then
      local d = distance(name:lower(), other)
      if d < least or d == least and (not best or other < best) then best, least = other, d end
    end
  end
  return best and ("; did you mean '%s'?"):format(best) or ""
end
