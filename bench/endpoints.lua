-- Posts one body to the endpoints e1, e2, … in turn.
local f = io.open(os.getenv("BODY"), "rb"); local body = f:read("*a"); f:close()
local count = tonumber(os.getenv("ENDPOINTS"))
local headers = { ["Content-Type"] = "application/json" }
local requests, last = {}, 0
init = function()
  for i = 1, count do requests[i] = wrk.format("POST", "/v2/models/e" .. i .. "/infer", headers, body) end
end
request = function()
  last = last % count + 1
  return requests[last]
end
