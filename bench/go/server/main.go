// Go's net/http as it comes; GOMAXPROCS=1 gives it one worker.
package main

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
)

func main() {
	content := bytes.Repeat([]byte("x"), 1<<20)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", hello)
	mux.HandleFunc("GET /big", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		w.Write(content)
	})
	mux.HandleFunc("POST /echo", echo)
	if files := os.Getenv("FILES"); files != "" {
		mux.Handle("GET /files/", http.StripPrefix("/files", http.FileServer(http.Dir(files))))
	}
	server := http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), Handler: mux}
	allowHTTP2(&server)
	log.Fatal(server.ListenAndServe())
}

func hello(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	io.WriteString(w, "Hello, World!")
}

func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	if r.ContentLength >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	// Without it the server reads and drops the rest of the content before it answers.
	http.NewResponseController(w).EnableFullDuplex()
	io.Copy(w, r.Body)
}
