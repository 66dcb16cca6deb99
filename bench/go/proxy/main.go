// Go's httputil.ReverseProxy as it comes, with as many kept connections as there are clients; GOMAXPROCS=1 gives it
// one worker.
package main

import (
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

func main() {
	upstream, err := url.Parse("http://127.0.0.1:" + os.Getenv("UPSTREAM"))
	if err != nil {
		log.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns = 0
	transport.MaxIdleConnsPerHost = 1024
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			r.SetXForwarded()
		},
	}
	server := http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), Handler: proxy}
	allowHTTP2(&server)
	log.Fatal(server.ListenAndServe())
}
