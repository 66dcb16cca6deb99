#!/usr/bin/env bash
# Runs every example and speaks to it: tests/examples.sh FOLDER-OF-THE-BINARIES
set -euo pipefail
binaries=$(realpath "$1")
work=$(mktemp -d)
server=
shown=

cleanup() {
    for started in $server $shown; do kill "$started" 2>/dev/null || true; done
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
expect '^2 tests passed$' testing
# ---- the servers, each on a port of its own, as curl sees them

if ! command -v curl >/dev/null; then
    echo "LEFT OUT: the examples of servers need curl"
    exit 0
fi
port=$((20000 + RANDOM % 20000))

# Starts an example, with the address behind its other arguments, and waits until it listens.
start() {
    local example=$1
    shift
    port=$((port + 1))
    address=127.0.0.1:$port
    "$binaries/examples/$example" "$@" "$address" >"$work/said" 2>&1 &
    shown=$!
    until (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        kill -0 "$shown" || { cat "$work/said"; echo "$example does not listen"; exit 1; }
        sleep 0.1
    done
}

# A line of what comes back must match. curl's own end is of no account: some answers never end.
answers() {
    local pattern=$1
    shift
    curl -sk --max-time 5 "$@" >"$work/out" || true
    grep -aq -- "$pattern" "$work/out" || { cat "$work/out" "$work/said"; echo "no answer: $pattern"; exit 1; }
}

stop() {
    kill "$shown"
    wait "$shown" 2>/dev/null || true
    shown=
    echo "ok: $1"
}

start hello
answers '^Hello, "/hello"$' "http://$address/hello"
stop hello

start state
curl -s -o /dev/null -X PUT -d hello "http://$address/notes/a"
answers '^hello$' "http://$address/notes/a"
answers '^{"a":"hello"}$' "http://$address/notes"
answers 'no such note' "http://$address/notes/b"
answers '^visit 1$' "http://$address/visits"
stop state

start middleware
answers '^user 7$' "http://$address/api/users/7"
answers '^Cache-Control: no-store' -i -X POST "http://$address/api/users/7"
answers '^X-Request-Number: ' -i "http://$address/none"
answers 'a key is needed' "http://$address/private"
answers '^all is well$' -H 'X-Key: secret' "http://$address/admin/report"
answers '^{"id": "7"}$' -H 'X-Key: secret' "http://$address/admin/users/7.json"
grep -q '^GET /admin/users/{id}.json$' "$work/said"
stop middleware

start forms
answers '<form method=post>' "http://$address/"
answers '^Hello, A & B$' --data-urlencode 'name=A & B' "http://$address/"
stop forms

start json
answers '"sum":6' -d '[1, 2, 3]' "http://$address/sum"
answers '^400$' -d '[1, ' -o /dev/null -w '%{http_code}\n' "http://$address/sum"
stop json

start errors
answers '^4$' "http://$address/halve/8"
answers '^7 is odd$' "http://$address/halve/7"
answers '^400$' -o /dev/null -w '%{http_code}\n' "http://$address/halve/x"
answers '"title":"Internal Server Error"' "http://$address/motd"
answers '"status":404' "http://$address/nowhere"
stop errors

start protected
answers '^HTTP/1.1 401 ' -i "http://$address/notes"
answers '^WWW-Authenticate: Basic realm="notes", charset="UTF-8"' -i "http://$address/notes"
answers '^HTTP/1.1 201 ' -i -u ada:sesame -X PUT -d hello "http://$address/notes"
answers '^ada: hello$' -u ada:sesame "http://$address/notes"
answers '^HTTP/1.1 413 ' -i -u ada:sesame -T "$work/files/large" "http://$address/notes"
answers '^HTTP/1.1 403 ' -i -u ada:sesame -X PUT -d x -H 'Origin: https://evil.test' "http://$address/notes"
answers '^Access-Control-Allow-Origin: https://app.example.com' -i -H 'Origin: https://app.example.com' \
    "http://$address/notes"
stop protected

start upload
answers '^file: 1000000 bytes$' -F "file=@$work/files/large" "http://$address/"
stop upload

start reverse_proxy "$url"
answers '^hello$' "http://$address/api/hello.txt"
answers '^HTTP/1.1 404 ' -i "http://$address/api/none"
stop reverse_proxy

start echo
curl -s -T "$work/files/large" "http://$address/echo" -o "$work/back"
cmp "$work/files/large" "$work/back"
stop echo

start sse
answers '^data: tick 3$' --max-time 2 -N "http://$address/events"
stop sse

start upgrade
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'GET /shout HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\nhello\n' >&3
until [ "${line:-}" = HELLO ]; do read -r -t 5 line <&3; done
exec 3>&-
stop upgrade

start shutdown
curl -sN --max-time 5 "http://$address/clock" >"$work/out" &
reader=$!
until grep -q GMT "$work/out"; do sleep 0.1; done
kill -INT "$shown"
wait "$reader"
grep -q '^good bye$' "$work/out"
wait "$shown"
shown=
echo "ok: shutdown"

if [ -e "$binaries/examples/axum" ]; then
    start axum
    answers '^hello, you: call 1$' "http://$address/hello/you"
    answers '^127.0.0.1$' "http://$address/whoami"
    answers '^ok$' "http://$address/health"
    stop axum
    start grpc
    answers '^ok$' "http://$address/health"
    answers '^grpc-status: 12' --http2-prior-knowledge -D - -X POST -H 'Content-Type: application/grpc' \
        "http://$address/greet.Greeter/Nothing"
    stop grpc
else
    echo "LEFT OUT: the examples axum and grpc need cargo build -p interop --examples"
fi

if command -v openssl >/dev/null; then
    openssl req -x509 -newkey ed25519 -nodes -keyout "$work/key.pem" -out "$work/cert.pem" -days 30 \
        -subj /CN=localhost 2>/dev/null
    start tls "$work/cert.pem" "$work/key.pem"
    answers '^Hello over HTTP/' "https://$address/"
    stop tls
else
    echo "LEFT OUT: the example tls needs openssl for a certificate"
fi
