-- A new table with the fields of all of these, of which any may be nil: the last one that has a field wins.
return function(...)
  local out = {}
  for i = 1, select("#", ...) do
    for k, v in pairs((select(i, ...)) or {}) do out[k] = v end
  end
  return out
end
