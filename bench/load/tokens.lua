-- Bearer tokens for wrk: see LoadPlan in plan.py for the meaning of the arguments FILE ORDER OFFSET COUNT.
-- Requests are rendered before the clock runs; `request` is defined only where tokens alternate, because
-- without it wrk sends one buffer again and again at no cost.

local function bearer(token)
   local headers = { Authorization = "Bearer " .. token }
   for name, value in pairs(wrk.headers) do headers[name] = value end
   return wrk.format("GET", nil, headers)
end

local function cycle(requests)
   local next = 0
   return function()
      next = next % #requests + 1
      return requests[next]
   end
end

local function once(requests)
   -- wrk asks for one request before it connects, to look at it; that one must not be used up.
   local next = -1
   local told = false
   return function()
      next = next + 1
      if next == 0 then return requests[1] end
      if next > #requests then
         if not told then
            told = true
            wrk.thread:stop()
            io.stderr:write("EXHAUSTED\n")
            io.stderr:flush()
         end
         return ""
      end
      return requests[next]
   end
end

function init(args)
   local file, order, offset, count = args[1], args[2], tonumber(args[3]), tonumber(args[4])
   local requests = {}
   local line = 0
   for token in io.lines(file) do
      line = line + 1
      if order == "first" then
         wrk.headers["Authorization"] = "Bearer " .. token
         return
      end
      if order == "cycle" or line > offset then requests[#requests + 1] = bearer(token) end
      if order == "once" and #requests == count then break end
   end
   if #requests == 0 then error("no tokens in " .. file) end
   request = order == "once" and once(requests) or cycle(requests)
end

function done(summary, latency, requests)
   local errors = summary.errors
   local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
   io.write(string.format(
      'RESULT {"requests": %d, "failed": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f}\n',
      summary.requests, failed, summary.duration / 1e6,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
