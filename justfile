# What there is to run. `.ci/run` holds the steps of `check`, so that they stand in one place.

# Lists the recipes.
default:
    @just --list

# All that must hold before a change lands.
check:
    .ci/run

# The tests; `just test mux` runs those with `mux` in their name.
test *args:
    cargo test {{ args }}

# Raw bytes to the conformance server; `just conformance --group chunked` runs one group.
conformance *args:
    cargo build -p tools --bin conformance_server
    python3 tests/conformance/server.py {{ args }} -- "${CARGO_TARGET_DIR:-target}/debug/conformance_server"

# Raw answers to the conformance client.
conformance-client *args:
    cargo build -p tools --bin conformance_client
    python3 tests/conformance/client.py {{ args }} -- "${CARGO_TARGET_DIR:-target}/debug/conformance_client"

# The library without features, and with each alone.
features:
    .ci/run features

# The documentation, opened in a browser.
doc:
    cargo doc --workspace --no-deps --all-features --open

# Server and client beside their peers, with CPU a request; `just bench files`, `just bench http2`, `just bench proxy`, `just bench --help`. `cargo bench` times the parts.
bench *args:
    python3 bench/run.py {{ args }}

# A server under clients of every kind for so many minutes (`20s`: seconds), and whether what it holds stays flat. Linux.
soak minutes="5":
    cargo run --release -p tools --bin soak -- {{ minutes }}

# Fuzzes one target for some seconds. Needs cargo-fuzz and a C++ compiler, and no nightly: there is no unsafe code for a sanitizer to look at.
fuzz target seconds="60":
    mkdir -p fuzz/corpus/{{ target }}
    cargo fuzz run -s none {{ target }} fuzz/corpus/{{ target }} fuzz/seeds/{{ target }} -- \
        -max_total_time={{ seconds }} -max_len=1024 -timeout=10 -rss_limit_mb=2048 -dict=fuzz/http.dict

# The codec and one exchange in memory by themselves: `just bench-parts time`, or `instructions`, which needs valgrind and gungraun-runner.
bench-parts which="time" *args:
    cd bench/parts && cargo bench --bench {{ which }} -- {{ args }}

# The locks and flags beneath HTTP/2 under a model checker: every order in which threads can see each other's steps.
model:
    cd model && cargo test --release

# Licences, advisories, sources and duplicates of the dependencies. Needs cargo-deny.
deny:
    cargo deny check
