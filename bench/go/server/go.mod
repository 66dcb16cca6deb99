module nethttp/bench/server

go 1.24
