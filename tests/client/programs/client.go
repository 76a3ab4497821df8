// Does the work (work.py) with Go's net/http.
package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const workers = 4

func main() {
	url, token, file := os.Args[1], os.Args[2], os.Args[3]
	lines, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	transport := &http.Transport{
		MaxConnsPerHost: workers, MaxIdleConnsPerHost: workers, ExpectContinueTimeout: time.Minute,
	}
	client := &http.Client{Transport: transport}

	ask := func(method, path, how, bearer string, size int) (int, []byte) {
		var body io.Reader
		if size > 0 {
			data := bytes.Repeat([]byte(path+"\n"), size/(len(path)+1)+1)[:size]
			body = bytes.NewReader(data)
			if how == "stream" {
				// Of unknown length.
				body = io.MultiReader(bytes.NewReader(data))
			}
		}
		request, err := http.NewRequest(method, url+path, body)
		if err != nil {
			log.Fatal(err)
		}
		if bearer != "" {
			request.Header.Set("Authorization", "Bearer "+bearer)
		}
		if how == "expect" {
			request.Header.Set("Expect", "100-continue")
		}
		answer, err := client.Do(request)
		if err != nil {
			log.Fatal(err)
		}
		defer answer.Body.Close()
		got, err := io.ReadAll(answer.Body)
		if err != nil {
			log.Fatal(err)
		}
		return answer.StatusCode, got
	}

	waiting := make(chan []string)
	var group sync.WaitGroup
	for range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			for fields := range waiting {
				method, path, how := fields[0], fields[1], fields[3]
				size, err := strconv.Atoi(fields[2])
				if err != nil {
					log.Fatal(err)
				}
				bearers := map[string][]string{"none": {""}, "token": {token}, "retry": {"", token}}[fields[4]]
				var statuses []string
				var body []byte
				for _, bearer := range bearers {
					var status int
					status, body = ask(method, path, how, bearer, size)
					statuses = append(statuses, strconv.Itoa(status))
				}
				fmt.Printf("%s %s %x\n", path, strings.Join(statuses, ","), sha256.Sum256(body))
			}
		}()
	}
	for _, line := range strings.Split(strings.TrimSpace(string(lines)), "\n") {
		waiting <- strings.Fields(line)
	}
	close(waiting)
	group.Wait()
}
