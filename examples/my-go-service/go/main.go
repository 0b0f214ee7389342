// The example service, in Go with the standard library only. ../node/service.ts is its twin: the same
// environment, paths, answers and messages; a shared test runs one table of requests against both.
//
//	PORT         port to listen on (required)
//	HOST         address to listen on (127.0.0.1)
//	VERSION      told in each answer (v1)
//	INSTANCE     told in each answer (the process id)
//	FAIL_RATE    share of requests that fail, 0 to 1 (0)
//	FAIL_STATUS  status of a failing request, 400 to 599 (503)
//	DELAY_MS     time before each answer, 0 to 60000 (0)
//
// The last three can be changed while it runs: POST /admin/behaviour?failRate=1&failStatus=500&delayMs=20
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const serviceName = "my-go-service"

// behaviour is what can be changed at run time.
type behaviour struct {
	FailRate   float64 `json:"failRate"`
	FailStatus int     `json:"failStatus"`
	DelayMs    int     `json:"delayMs"`
}

// answer is the body of every request but /healthz and /admin.
type answer struct {
	Service  string            `json:"service"`
	Version  string            `json:"version"`
	Instance string            `json:"instance"`
	Method   string            `json:"method"`
	Path     string            `json:"path"`
	Headers  map[string]string `json:"headers"`
	Error    string            `json:"error,omitempty"`
}

type service struct {
	version  string
	instance string
	mutex    sync.Mutex
	current  behaviour
}

var numberPattern = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)

// withChanges returns the behaviour with the named settings changed, or what is wrong with them.
func (b behaviour) withChanges(get func(name string) string, names [3]string) (behaviour, error) {
	failRate, err := number(get, names[0], 0, 1, b.FailRate)
	if err != nil {
		return b, err
	}
	failStatus, err := wholeNumber(get, names[1], 400, 599, b.FailStatus)
	if err != nil {
		return b, err
	}
	delayMs, err := wholeNumber(get, names[2], 0, 60000, b.DelayMs)
	if err != nil {
		return b, err
	}
	return behaviour{failRate, failStatus, delayMs}, nil
}

func number(get func(string) string, name string, low, high, current float64) (float64, error) {
	text := get(name)
	if text == "" {
		return current, nil
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || !numberPattern.MatchString(text) || value < low || value > high {
		return 0, fmt.Errorf("%s: expected a number from %v to %v, got %q", name, low, high, text)
	}
	return value, nil
}

func wholeNumber(get func(string) string, name string, low, high, current int) (int, error) {
	value, err := number(get, name, float64(low), float64(high), float64(current))
	if err == nil && value != float64(int(value)) {
		err = fmt.Errorf("%s: expected a whole number, got %q", name, get(name))
	}
	return int(value), err
}

func (s *service) behaviour() behaviour {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.current
}

func (s *service) changeBehaviour(query url.Values) (behaviour, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for name := range query {
		if name != "failRate" && name != "failStatus" && name != "delayMs" {
			return s.current, fmt.Errorf("%s: expected failRate, failStatus or delayMs", name)
		}
	}
	changed, err := s.current.withChanges(query.Get, [3]string{"failRate", "failStatus", "delayMs"})
	if err == nil {
		s.current = changed
	}
	return changed, err
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The body is read to its end, so that the connection can serve the next request.
	_, _ = io.Copy(io.Discard, r.Body)
	switch r.URL.Path {
	case "/healthz":
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	case "/admin/behaviour":
		s.serveBehaviour(w, r)
	default:
		s.serveAnswer(w, r)
	}
}

func (s *service) serveBehaviour(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		writeJSON(w, http.StatusOK, s.behaviour())
	case http.MethodPost:
		changed, err := s.changeBehaviour(r.URL.Query())
		if err != nil {
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		fmt.Printf("behaviour is now failRate=%v failStatus=%d delayMs=%d\n", changed.FailRate, changed.FailStatus, changed.DelayMs)
		writeJSON(w, http.StatusOK, changed)
	default:
		w.Header().Set("Allow", "GET, POST")
		writeJSON(w, http.StatusMethodNotAllowed, map[string]string{"error": "expected GET or POST"})
	}
}

func (s *service) serveAnswer(w http.ResponseWriter, r *http.Request) {
	now := s.behaviour()
	if now.DelayMs > 0 {
		select {
		case <-time.After(time.Duration(now.DelayMs) * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
	headers := map[string]string{"host": r.Host}
	for name, values := range r.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	body := answer{serviceName, s.version, s.instance, r.Method, r.URL.RequestURI(), headers, ""}
	status := http.StatusOK
	if rand.Float64() < now.FailRate {
		status = now.FailStatus
		body.Error = "this request was chosen to fail"
	}
	w.Header().Set("X-Version", s.version)
	writeJSON(w, status, body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	encoded, err := json.Marshal(body)
	if err != nil {
		status, encoded = http.StatusInternalServerError, []byte(`{"error":"cannot encode the answer"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(encoded)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(encoded, '\n'))
}

func environment(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

func run() error {
	start, err := behaviour{FailStatus: 503}.withChanges(os.Getenv, [3]string{"FAIL_RATE", "FAIL_STATUS", "DELAY_MS"})
	if err != nil {
		return err
	}
	port := os.Getenv("PORT")
	if _, err := wholeNumber(os.Getenv, "PORT", 0, 65535, 0); err != nil || port == "" {
		return fmt.Errorf("PORT: expected a port, got %q", port)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(environment("HOST", "127.0.0.1"), port))
	if err != nil {
		return err
	}
	s := &service{
		version:  environment("VERSION", "v1"),
		instance: environment("INSTANCE", strconv.Itoa(os.Getpid())),
		current:  start,
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	go func() {
		<-ctx.Done()
		deadline, done := context.WithTimeout(context.Background(), 3*time.Second)
		defer done()
		stopped <- server.Shutdown(deadline)
	}()
	fmt.Printf("%s %s listens on %s\n", serviceName, s.version, listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", serviceName, err)
		os.Exit(1)
	}
}
