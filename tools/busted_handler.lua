-- busted output handler of tools/run-specs: says little when all is well, everything when it is not,
-- and notes each test's outcome in a file at once, so that a crash loses no count.
return function(options)
  local busted = require "busted"
  local pretty = require "pl.pretty"
  local handler = require "busted.outputHandlers.base"()
  local notes = assert(io.open(assert(os.getenv "AKUSHU_SPEC_RESULT", "AKUSHU_SPEC_RESULT is not set"), "w"))
  notes:setvbuf "line"

  local function show(kind, t)
    local where = t.element and t.element.trace or t.trace or {}
    local message = t.message
    if type(message) ~= "string" then message = message == nil and "nil" or pretty.write(message) end
    io.write(("%s: %s\n    at %s:%s\n    %s\n"):format(kind, t.name, where.short_src or "?", where.currentline or "?",
      (message:gsub("\n", "\n    "))))
    if t.trace and t.trace.traceback and (kind == "ERROR" or options.verbose) then
      io.write("    ", (t.trace.traceback:gsub("^\n", ""):gsub("\n", "\n    ")), "\n")
    end
    io.flush()
  end

  function handler.testStart(element)
    notes:write("start ", (handler.getFullName(element):gsub("\n", " ")), "\n")
    return nil, true
  end

  function handler.testEnd(_, _, status)
    if status == "success" then
      notes:write "pass\n"
    elseif status == "pending" then
      local t = handler.pendings[#handler.pendings]
      notes:write "skip\n"
      io.write("skipped: ", t.name, type(t.message) == "string" and (" (" .. t.message .. ")") or "", "\n")
    else
      notes:write "fail\n"
      if status == "failure" then
        show("FAILED", handler.failures[#handler.failures])
      else
        show("ERROR", handler.errors[#handler.errors])
      end
    end
    return nil, true
  end

  -- An error outside of any test: a file that does not load, a setup that raises.
  function handler.error(element)
    if element.descriptor ~= "it" then
      notes:write "fail\n"
      show("ERROR", handler.errors[#handler.errors])
    end
    return nil, true
  end

  function handler.suiteEnd()
    notes:write "end\n"
    notes:close()
    return nil, true
  end

  busted.subscribe({ "test", "start" }, handler.testStart, { predicate = handler.cancelOnPending })
  busted.subscribe({ "test", "end" }, handler.testEnd, { predicate = handler.cancelOnPending })
  busted.subscribe({ "error" }, handler.error)
  busted.subscribe({ "failure" }, handler.error)
  busted.subscribe({ "suite", "end" }, handler.suiteEnd)
  return handler
end
