// Go's net/http server: reports each request as it sees it, to the client and as a line of the file $SEEN.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
)

func latin1(data []byte) string {
	runes := make([]rune, len(data))
	for at, each := range data {
		runes[at] = rune(each)
	}
	return string(runes)
}

func main() {
	file, err := os.OpenFile(os.Getenv("SEEN"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	say := func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/early") {
			// Answers without reading the body.
			w.Header().Set("Content-Length", "5")
			w.WriteHeader(http.StatusForbidden)
			w.Write([]byte("early"))
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		headers := [][2]string{{"host", r.Host}}
		for name, values := range r.Header {
			for _, value := range values {
				headers = append(headers, [2]string{strings.ToLower(name), latin1([]byte(value))})
			}
		}
		line, err := json.Marshal(map[string]any{
			"id": r.Header.Get("X-Request-Id"), "method": r.Method, "path": r.URL.Path, "target": r.RequestURI,
			"query": r.URL.RawQuery, "script": "", "user": "", "headers": headers, "body": latin1(body),
		})
		if err != nil {
			panic(err)
		}
		if _, err := file.Write(append(line, '\n')); err != nil {
			panic(err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(line)))
		w.Write(line)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], http.HandlerFunc(say)))
}
