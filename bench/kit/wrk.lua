-- Sends the bytes of the file BENCH_REQUEST as they stand, one request or several at once, and
-- prints the result as one line of JSON. The bytes are made once: wrk runs no Lua for a request.
local file = assert(io.open(os.getenv("BENCH_REQUEST"), "rb"))
local bytes = file:read("*a")
file:close()

wrk.format = function()
    return bytes
end

function done(summary, latency)
    local errors = summary.errors
    print(string.format(
        '{"requests": %d, "microseconds": %d, "p99_us": %d, "failures": %d}',
        summary.requests, summary.duration, latency:percentile(99),
        errors.connect + errors.read + errors.write + errors.status + errors.timeout
    ))
end
