module nethttp/bench/client

go 1.22
