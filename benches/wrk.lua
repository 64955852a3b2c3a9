-- The request that the environment describes, and what came of it as JSON; see wrk.py.
wrk.method = os.getenv("BENCH_METHOD")
wrk.body = os.getenv("BENCH_BODY")

-- A body with NUMBER in it has another number each time.
if wrk.body and wrk.body:find("NUMBER", 1, true) then
  local body, made = wrk.body, 0
  request = function()
    made = made + 1
    return wrk.format(nil, nil, nil, (body:gsub("NUMBER", made)))
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "seconds": %f, "refused": %d, "broken": %d, "late": %d, "p50_ms": %f, "p99_ms": %f}\n',
    summary.requests, summary.duration / 1e6, errors.status, errors.connect + errors.read + errors.write,
    errors.timeout, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
