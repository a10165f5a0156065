-- Counts responses whose status is not 200, and prints one line for load.sh:
-- requests, microseconds, p50 and p99 in microseconds, failed requests.

local thread_of_run

-- With PAUSE_MS, each connection waits that long before each request, as visitors do.
local pause_ms = tonumber(os.getenv("PAUSE_MS") or "")
if pause_ms then
  function delay()
    return pause_ms
  end
end

function setup(thread)
  thread_of_run = thread
end

function init()
  bad = 0
end

function response(status)
  if status ~= 200 then bad = bad + 1 end
end

function done(summary, latency)
  local lost = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  print(string.format("result %d %d %d %d %d", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), thread_of_run:get("bad") + lost))
end
