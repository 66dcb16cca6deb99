#!/usr/bin/env bash
# Runs the client's examples against `nethttp serve`: tests/examples.sh FOLDER-OF-THE-BINARIES
set -euo pipefail
binaries=$(realpath "$1")
work=$(mktemp -d)
server=

cleanup() {
    if [ -n "$server" ]; then kill "$server"; fi
    rm -rf "$work"
}
trap cleanup EXIT

# Runs an example; a line of what it prints must match.
expect() {
    local pattern=$1 example=$2
    shift 2
    "$binaries/examples/$example" "$@" >"$work/out" 2>&1 || { cat "$work/out"; echo "$example failed"; exit 1; }
    grep -q -- "$pattern" "$work/out" || { cat "$work/out"; echo "$example does not print: $pattern"; exit 1; }
    echo "ok: $example"
}

mkdir "$work/files"
echo hello >"$work/files/hello.txt"
head -c 1000000 /dev/urandom >"$work/files/large"
"$binaries/nethttp" serve "$work/files" -a 127.0.0.1:0 >"$work/announced" 2>"$work/log" &
server=$!
# It announces its address when it listens.
until grep -q 'http://' "$work/announced"; do
    kill -0 "$server"
    sleep 0.1
done
url=$(sed -n 's|.*\(http://[^/]*\)/.*|\1|p' "$work/announced")
unset HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy

expect '^HTTP/1.1 200 OK$' client "$url/hello.txt"
expect '^hello$' client "$url/hello.txt"
expect "^1000000 bytes in $work/got$" download "$url/large" "$work/got"
cmp "$work/files/large" "$work/got"
# A file server takes whole URLs as well: it is proxy enough.
expect "^200 OK over ${url#http://}$" proxy_client "$url" http://a.test/hello.txt
expect '^hello$' proxy_client "$url" http://a.test/hello.txt
expect 'used before: true' trace "$url/hello.txt"
# Too short to judge memory, and long enough for each kind of client to come and go.
expect '^flat: ' ../soak 6s
