// A peer of the tests in ../http2_peers.rs: Go's client, or Go's server.
//
//	peer client URL CA    asks a server in one way after the other, and prints what went wrong
//	peer server CERT KEY  serves TLS and cleartext, and prints the two ports
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"time"
)

func main() {
	var err error
	switch os.Args[1] {
	case "client":
		err = client(os.Args[2], os.Args[3])
	case "server":
		err = serve(os.Args[2], os.Args[3])
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// ---- the client

func client(base, ca string) error {
	roots, err := os.ReadFile(ca)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(roots)
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		var protocols http.Protocols
		protocols.SetHTTP1(proto == "HTTP/1.1")
		protocols.SetHTTP2(proto == "HTTP/2.0")
		protocols.SetUnencryptedHTTP2(proto == "HTTP/2.0")
		transport := &http.Transport{
			TLSClientConfig:       &tls.Config{RootCAs: pool, ServerName: "a.test"},
			Protocols:             &protocols,
			ExpectContinueTimeout: 5 * time.Second,
		}
		c := &http.Client{Transport: transport, Timeout: 60 * time.Second}
		for name, ask := range map[string]func(*http.Client, string, string) error{
			"get": get, "echo": echo, "trailer": trailer, "ignored": ignored, "expected": expected, "refused": refused,
			"hints": hints, "parallel": parallel, "cancelled": cancelled, "head": head, "broken": broken,
		} {
			if err := ask(c, base, proto); err != nil {
				return fmt.Errorf("%s over %s: %w", name, proto, err)
			}
		}
		transport.CloseIdleConnections()
	}
	fmt.Println("all went well")
	return nil
}

func want(got, wanted any) error {
	if got != wanted {
		return fmt.Errorf("got %v, not %v", got, wanted)
	}
	return nil
}

// Sends a request and wants this status and content, which "*" leaves open.
func ask(c *http.Client, r *http.Request, status int, content string) (*http.Response, error) {
	response, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if content != "*" {
		err = want(string(read), content)
	}
	return response, errors.Join(err, want(response.StatusCode, status))
}

func request(method, url string, body io.Reader) *http.Request {
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		panic(err)
	}
	return r
}

func get(c *http.Client, base, proto string) error {
	response, err := ask(c, request("GET", base+"/proto", nil), 200, proto)
	if err != nil {
		return err
	}
	return want(response.Proto, proto)
}

func head(c *http.Client, base, _ string) error {
	response, err := ask(c, request("HEAD", base+"/proto", nil), 200, "")
	if err != nil {
		return err
	}
	return want(response.ContentLength, int64(8))
}

func echo(c *http.Client, base, _ string) error {
	content := strings.Repeat("0123456789", 500_000)
	_, err := ask(c, request("POST", base+"/echo", strings.NewReader(content)), 200, content)
	return err
}

func trailer(c *http.Client, base, _ string) error {
	r := request("POST", base+"/trailer", io.MultiReader(strings.NewReader("content")))
	r.Trailer = http.Header{"X-Check": {"sent"}}
	response, err := ask(c, r, 200, "sent")
	if err != nil {
		return err
	}
	return want(response.Trailer.Get("X-Sum"), "7")
}

func ignored(c *http.Client, base, _ string) error {
	_, err := ask(c, request("POST", base+"/ignore", bytes.NewReader(make([]byte, 5_000_000))), 200, "ignored")
	return err
}

func expected(c *http.Client, base, _ string) error {
	r := request("PUT", base+"/echo", strings.NewReader("content"))
	r.Header.Set("Expect", "100-continue")
	_, err := ask(c, r, 200, "content")
	return err
}

func refused(c *http.Client, base, _ string) error {
	r := request("PUT", base+"/refuse", strings.NewReader("content"))
	r.Header.Set("Expect", "100-continue")
	_, err := ask(c, r, 413, "*")
	return err
}

func hints(c *http.Client, base, _ string) error {
	seen := ""
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
		seen += fmt.Sprint(code, header.Get("Link"))
		return nil
	}}
	r := request("GET", base+"/hints", nil)
	_, err := ask(c, r.WithContext(httptrace.WithClientTrace(r.Context(), trace)), 200, "done")
	return errors.Join(err, want(seen, "103</a>"))
}

func parallel(c *http.Client, base, proto string) error {
	results := make(chan error, 100)
	for range 100 {
		go func() {
			_, err := ask(c, request("GET", base+"/proto", nil), 200, proto)
			results <- err
		}()
	}
	var all error
	for range 100 {
		all = errors.Join(all, <-results)
	}
	return all
}

func cancelled(c *http.Client, base, proto string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.Do(request("GET", base+"/wait", nil).WithContext(ctx)); !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("it was not cancelled: %v", err)
	}
	return get(c, base, proto)
}

func broken(c *http.Client, base, _ string) error {
	response, err := c.Get(base + "/abort")
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	if _, err := io.ReadAll(response.Body); err == nil {
		return errors.New("an answer that was cut looks whole")
	}
	return nil
}

// ---- the server

func serve(cert, key string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/proto", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.Copy(w, r.Body)
	})
	mux.HandleFunc("/trailer", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		read, _ := io.ReadAll(r.Body)
		io.WriteString(w, r.Trailer.Get("X-Check"))
		w.Header().Set("X-Sum", fmt.Sprint(len(read)))
	})
	mux.HandleFunc("/ignore", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ignored") })
	mux.HandleFunc("/refuse", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(413) })
	mux.HandleFunc("/hints", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a>")
		w.WriteHeader(103)
		w.Header().Del("Link")
		io.WriteString(w, "done")
	})
	mux.HandleFunc("/abort", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "partial")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/close", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		io.WriteString(w, "bye")
	})
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: mux, Protocols: &protocols}
	secure, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	port := func(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }
	fmt.Println(port(secure), port(plain))
	var running sync.WaitGroup
	running.Add(2)
	go func() { defer running.Done(); server.ServeTLS(secure, cert, key) }()
	go func() { defer running.Done(); server.Serve(plain) }()
	// Its standard input ends with the test.
	io.Copy(io.Discard, os.Stdin)
	server.Close()
	running.Wait()
	return nil
}
