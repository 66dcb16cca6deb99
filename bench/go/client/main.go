// Go's net/http as it comes, but for a pool that is as large as the load; GOMAXPROCS=1 gives it one
// worker. Arguments and output are those of the other clients.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// What each task asks before it counts: connections are made then.
const warmUp = 8

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: URL CONCURRENCY REQUESTS")
	}
	url, concurrency, requests := os.Args[1], number(os.Args[2]), number(os.Args[3])
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = concurrency
	client := &http.Client{Transport: transport}
	each := requests / concurrency
	load(client, url, concurrency, warmUp)
	began, user, system := measured()
	load(client, url, concurrency, each)
	ended, userAfter, systemAfter := measured()

	count := float64(each * concurrency)
	user, system = (userAfter-user)/count, (systemAfter-system)/count
	fmt.Printf("%.0f %.3f %.3f\n", count/ended.Sub(began).Seconds(), user+system, user)
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func load(client *http.Client, url string, concurrency, each int) {
	var tasks sync.WaitGroup
	for range concurrency {
		tasks.Add(1)
		go func() {
			defer tasks.Done()
			for range each {
				ask(client, url)
			}
		}()
	}
	tasks.Wait()
}

func ask(client *http.Client, url string) {
	response, err := client.Get(url)
	if err != nil {
		log.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		log.Fatal(response.Status)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		log.Fatal(err)
	}
	response.Body.Close()
}

// Now, and the microseconds of user and system time of this process.
func measured() (time.Time, float64, float64) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	micros := func(value syscall.Timeval) float64 { return float64(value.Nano()) / 1000 }
	return time.Now(), micros(usage.Utime), micros(usage.Stime)
}
