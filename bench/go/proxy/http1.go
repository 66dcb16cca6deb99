//go:build !go1.24

package main

import "net/http"

// Before 1.24 there is no HTTP/2 without TLS.
func allowHTTP2(*http.Server) {}
