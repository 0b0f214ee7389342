// Reads what a proxy has forwarded as Go's net/http does: a real server over connections in memory.
//
// On standard input: a length of four octets (big endian) and that many bytes, one connection after the other. On standard
// output: one line of JSON for each, with the messages that the server's handler was given, and what it refused.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

type message struct {
	Method    string `json:"method"`
	Target    string `json:"target"`
	Host      string `json:"host"`
	BodyBytes int    `json:"bodyBytes"`
	BodyHash  string `json:"bodyHash"`
}

type result struct {
	Messages []message `json:"messages"`
	Refused  string    `json:"refused,omitempty"`
}

// A connection whose client has sent everything and ended its direction.
type memoryConn struct {
	input  *bytes.Reader
	output bytes.Buffer
	mutex  sync.Mutex
	closed chan struct{}
	once   sync.Once
}

func (c *memoryConn) Read(into []byte) (int, error) { return c.input.Read(into) }
func (c *memoryConn) Write(from []byte) (int, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.output.Write(from)
}
func (c *memoryConn) Close() error                       { c.once.Do(func() { close(c.closed) }); return nil }
func (c *memoryConn) LocalAddr() net.Addr                { return &net.TCPAddr{} }
func (c *memoryConn) RemoteAddr() net.Addr               { return &net.TCPAddr{} }
func (c *memoryConn) SetDeadline(time.Time) error        { return nil }
func (c *memoryConn) SetReadDeadline(time.Time) error    { return nil }
func (c *memoryConn) SetWriteDeadline(time.Time) error   { return nil }

type memoryListener struct{ conns chan net.Conn }

func (l *memoryListener) Accept() (net.Conn, error) { return <-l.conns, nil }
func (l *memoryListener) Close() error              { return nil }
func (l *memoryListener) Addr() net.Addr            { return &net.TCPAddr{} }

func main() {
	var mutex sync.Mutex
	var messages []message
	handler := http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return
		}
		sum := sha256.Sum256(body)
		mutex.Lock()
		defer mutex.Unlock()
		messages = append(messages, message{
			Method: request.Method, Target: request.RequestURI, Host: request.Host,
			BodyBytes: len(body), BodyHash: hex.EncodeToString(sum[:8]),
		})
	})
	listener := &memoryListener{conns: make(chan net.Conn)}
	server := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(listener) }()
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
		mutex.Lock()
		messages = []message{}
		mutex.Unlock()
		conn := &memoryConn{input: bytes.NewReader(data), closed: make(chan struct{})}
		listener.conns <- conn
		<-conn.closed
		mutex.Lock()
		found := result{Messages: messages}
		mutex.Unlock()
		conn.mutex.Lock()
		// The server's own refusals are the only answers that are not 200.
		for _, line := range bytes.Split(conn.output.Bytes(), []byte("\r\n")) {
			if bytes.HasPrefix(line, []byte("HTTP/1.1 4")) || bytes.HasPrefix(line, []byte("HTTP/1.1 5")) {
				found.Refused = string(line)
			}
		}
		conn.mutex.Unlock()
		text, _ := json.Marshal(found)
		_, _ = output.Write(append(text, '\n'))
		_ = output.Flush()
	}
}
