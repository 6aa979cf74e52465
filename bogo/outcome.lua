--- How a test ends: with a status, with an expectation that was not met, or with a failure of akushu's and what the runner calls it.
local strings = require "bogo.errors"

local outcome = { NOT_IMPLEMENTED = 89 }

function outcome.quit(code, ...)
  if select("#", ...) > 0 then io.stderr:write(string.format(...), "\n") end
  os.exit(code, true)
end

-- A test's expectation that was not met is raised as this; everything else that is raised is a mistake of the shim's, and fails the test as well.
local Mismatch = { __name = "shim.Mismatch", __tostring = function(self) return self.text end }

function outcome.mismatch(...) error(setmetatable({ text = string.format(...) }, Mismatch), 0) end

function outcome.expect(condition, ...)
  if not condition then outcome.mismatch(...) end
end

-- Failures travel as errors, too: the alert has been sent when one is raised.
local Failed = { __name = "shim.Failed" }

function outcome.failed(failure) error(setmetatable({ failure = failure }, Failed), 0) end

local function error_string(failure)
  if failure.code ~= "peer_alert" then return strings.codes[failure.code] or failure.code:upper() end
  local alert = failure.alert
  return failure.state == "wait_server_hello" and strings.alerts_to_hello[alert] or strings.alerts[alert] or "TLSV1_ALERT_" .. tostring(alert):upper()
end

--- Calls fn and ends the test with what it raises.
function outcome.of(fn, ...)
  local ok, why = xpcall(fn, function(e)
    if type(e) == "table" then return e end
    return debug.traceback(tostring(e), 2)
  end, ...)
  if ok then return end
  if getmetatable(why) == Failed then outcome.quit(1, ":%s:\n%s", error_string(why.failure), why.failure.message) end
  outcome.quit(1, "%s", getmetatable(why) == Mismatch and why.text or tostring(why))
end

return outcome
