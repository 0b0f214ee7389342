// Reads what a proxy has sent to a client as Go's net/http does.
//
// On standard input: a length of four octets (big endian), and that many bytes: `H` or `G` for the method of the first of two
// requests, then the bytes of the connection. On standard output: one line of JSON for each.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
)

type response struct {
	Status    int    `json:"status"`
	BodyBytes int    `json:"bodyBytes"`
	BodyHash  string `json:"bodyHash"`
}

type result struct {
	Responses []response `json:"responses"`
	// Bytes behind the last response.
	Rest int `json:"rest"`
}

func read(data []byte) result {
	found := result{Responses: []response{}}
	methods := []string{"GET", "GET"}
	if data[0] == 'H' {
		methods[0] = "HEAD"
	}
	reader := bufio.NewReader(bytes.NewReader(data[1:]))
	for _, method := range methods {
		answer, err := http.ReadResponse(reader, &http.Request{Method: method})
		for err == nil && answer.StatusCode < 200 && answer.StatusCode != 101 {
			answer, err = http.ReadResponse(reader, &http.Request{Method: method})
		}
		if err != nil {
			return found
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			return found
		}
		sum := sha256.Sum256(body)
		found.Responses = append(found.Responses, response{
			Status: answer.StatusCode, BodyBytes: len(body), BodyHash: hex.EncodeToString(sum[:8]),
		})
	}
	rest, _ := io.ReadAll(reader)
	found.Rest = len(rest)
	return found
}

func main() {
	input := bufio.NewReader(os.Stdin)
	output := bufio.NewWriter(os.Stdout)
	for {
		var length uint32
		if binary.Read(input, binary.BigEndian, &length) != nil {
			return
		}
		data := make([]byte, length)
		if _, err := io.ReadFull(input, data); err != nil {
			return
		}
		text, _ := json.Marshal(read(data))
		_, _ = output.Write(append(text, '\n'))
		_ = output.Flush()
	}
}
