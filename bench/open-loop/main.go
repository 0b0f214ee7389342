// A load of HTTP/1.1 requests at a fixed rate, whatever the answers do: an open loop. Linux only.
//
//	open-loop ADDRESS RATE SECONDS CONNECTIONS   prints a summary as JSON
//
// Each request has a time at which it is meant to leave, and its latency counts from then: where the server is slow, the
// requests that could not leave meanwhile, because all connections were taken, are as late as their users would find them.
// A closed loop asks less of a server that is slow, and so never sees them.
//
// One thread, epoll with a time-out in nanoseconds, and no memory taken while it runs, so that its own pauses are not found
// in what it measures.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

const (
	// Answers may take so long beyond the end; what has none by then counts with the time that it had.
	graceNs = int64(2 * time.Second)
	// Of an answer's head.
	headBytesMax    = 16 << 10
	epollPwait2     = 441 // the same number on every architecture
	prSetTimerslack = 29
)

var request = []byte("GET / HTTP/1.1\r\nHost: origin\r\n\r\n")

type connection struct {
	fd int
	// When the request that is under way was meant to leave.
	intendedNs int64
	isBusy     bool
	head       []byte
	bodyLeft   int
	isInBody   bool
}

type load struct {
	epoll       int
	connections []connection
	free        queue
	buffer      []byte
	latencies   []int64
	failed      int
	sent        int
	unanswered  int
}

// Connections that wait for work, the longest first: all take their turn, as those of many clients would.
type queue struct {
	ring  []*connection
	first int
	count int
}

func (q *queue) push(c *connection) {
	q.ring[(q.first+q.count)%len(q.ring)] = c
	q.count++
}

func (q *queue) pop() *connection {
	c := q.ring[q.first]
	q.first = (q.first + 1) % len(q.ring)
	q.count--
	return c
}

type summary struct {
	Answered   int     `json:"answered"`
	Unanswered int     `json:"unanswered"`
	Failed     int     `json:"failed"`
	P50        float64 `json:"p50Micros"`
	P99        float64 `json:"p99Micros"`
	P999       float64 `json:"p999Micros"`
	Max        float64 `json:"maxMicros"`
}

func main() {
	if len(os.Args) != 5 {
		fail("open-loop ADDRESS RATE SECONDS CONNECTIONS")
	}
	rate, seconds := number(os.Args[2]), number(os.Args[3])
	total := int(rate * seconds)
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	// By default the kernel lets a sleeper oversleep by 50 µs.
	syscall.RawSyscall6(syscall.SYS_PRCTL, prSetTimerslack, 1, 0, 0, 0, 0)
	l := open(os.Args[1], int(number(os.Args[4])), total)
	l.run(total, 1e9/rate)
	check(json.NewEncoder(os.Stdout).Encode(l.summarize()))
}

func open(address string, count int, total int) *load {
	epoll, err := syscall.EpollCreate1(0)
	check(err)
	l := &load{
		epoll:       epoll,
		connections: make([]connection, count),
		free:        queue{ring: make([]*connection, count)},
		buffer:      make([]byte, 256<<10),
		latencies:   make([]int64, 0, total),
	}
	to, err := net.ResolveTCPAddr("tcp4", address)
	check(err)
	target := &syscall.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}
	for index := range l.connections {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		check(err)
		check(syscall.Connect(fd, target))
		check(syscall.SetNonblock(fd, true))
		check(syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1))
		c := &l.connections[index]
		c.fd, c.head = fd, make([]byte, 0, headBytesMax)
		event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(index)}
		check(syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, fd, &event))
		l.free.push(c)
	}
	return l
}

func (l *load) run(total int, everyNs float64) {
	events := make([]syscall.EpollEvent, len(l.connections))
	start := time.Now()
	endNs := int64(everyNs*float64(total)) + graceNs
	for {
		now := int64(time.Since(start))
		for l.sent < total && l.free.count > 0 && int64(float64(l.sent)*everyNs) <= now {
			l.send(int64(float64(l.sent) * everyNs))
		}
		if isOver := l.sent == total && len(l.latencies)+l.failed == total; isOver || now >= endNs {
			break
		}
		untilNs := endNs
		if l.sent < total && l.free.count > 0 {
			untilNs = int64(float64(l.sent) * everyNs)
		}
		for _, event := range l.wait(events, untilNs-int64(time.Since(start))) {
			l.read(&l.connections[event.Fd], start)
		}
	}
	// They wait longer than this, at least.
	for index := range l.connections {
		if c := &l.connections[index]; c.isBusy {
			l.latencies = append(l.latencies, endNs-c.intendedNs)
			l.unanswered++
		}
	}
	for index := l.sent; index < total; index++ {
		l.latencies = append(l.latencies, endNs-int64(float64(index)*everyNs))
		l.unanswered++
	}
}

func (l *load) wait(events []syscall.EpollEvent, ns int64) []syscall.EpollEvent {
	timeout := syscall.NsecToTimespec(max(ns, 0))
	count, _, errno := syscall.RawSyscall6(epollPwait2, uintptr(l.epoll), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(unsafe.Pointer(&timeout)), 0, 0)
	if errno == syscall.EINTR {
		return nil
	}
	if errno != 0 {
		fail("epoll_pwait2: " + errno.Error())
	}
	return events[:count]
}

func (l *load) send(intendedNs int64) {
	c := l.free.pop()
	c.intendedNs, c.isBusy = intendedNs, true
	l.sent++
	if written, err := rawIO(syscall.SYS_WRITE, c.fd, request); err != 0 || written < len(request) {
		l.drop(c)
	}
}

func (l *load) read(c *connection, start time.Time) {
	count, err := rawIO(syscall.SYS_READ, c.fd, l.buffer)
	if err == syscall.EAGAIN || err == syscall.EINTR {
		return
	}
	if err != 0 || count == 0 || !c.isBusy {
		l.drop(c)
		return
	}
	isWhole, isFine := c.take(l.buffer[:count])
	if !isFine {
		l.drop(c)
	} else if isWhole {
		l.latencies = append(l.latencies, int64(time.Since(start))-c.intendedNs)
		c.isBusy = false
		l.free.push(c)
	}
}

// What is lost stays lost: the others carry on, and the count is printed.
func (l *load) drop(c *connection) {
	_ = syscall.Close(c.fd)
	if c.isBusy {
		c.isBusy = false
		l.failed++
		return
	}
	for range l.free.count {
		if other := l.free.pop(); other != c {
			l.free.push(other)
		}
	}
}

var (
	endOfHead = []byte("\r\n\r\n")
	success   = []byte("HTTP/1.1 200 ")
	lengthKey = []byte("\r\ncontent-length:")
)

// Answers are what the origin of the bench sends: 200, with a length.
func (c *connection) take(data []byte) (isWhole bool, isFine bool) {
	if c.isInBody {
		c.bodyLeft -= len(data)
	} else {
		if len(c.head)+len(data) > cap(c.head) && bytes.Index(data, endOfHead) < 0 {
			return false, false
		}
		room := min(len(data), cap(c.head)-len(c.head))
		before := len(c.head)
		c.head = append(c.head, data[:room]...)
		end := bytes.Index(c.head, endOfHead)
		if end < 0 {
			return false, room == len(data)
		}
		length, found := contentLength(c.head[:end])
		if !found || !bytes.HasPrefix(c.head, success) {
			return false, false
		}
		c.isInBody = true
		c.bodyLeft = length - (before + len(data) - end - len(endOfHead))
	}
	if c.bodyLeft == 0 {
		c.isInBody = false
		c.head = c.head[:0]
	}
	return c.bodyLeft == 0, c.bodyLeft >= 0
}

func contentLength(head []byte) (int, bool) {
	for index := 0; index+len(lengthKey) < len(head); index++ {
		if head[index] != '\r' || !bytes.EqualFold(head[index:index+len(lengthKey)], lengthKey) {
			continue
		}
		length := 0
		for _, digit := range bytes.TrimLeft(head[index+len(lengthKey):], " ") {
			if digit < '0' || digit > '9' {
				break
			}
			length = length*10 + int(digit-'0')
		}
		return length, true
	}
	return 0, false
}

func (l *load) summarize() summary {
	count := len(l.latencies)
	slices.Sort(l.latencies)
	at := func(share float64) float64 {
		if count == 0 {
			return 0
		}
		return float64(l.latencies[min(count-1, int(share*float64(count)))]) / 1e3
	}
	return summary{
		Answered: count - l.unanswered, Unanswered: l.unanswered, Failed: l.failed,
		P50: at(0.5), P99: at(0.99), P999: at(0.999), Max: at(1),
	}
}

func rawIO(call uintptr, fd int, data []byte) (int, syscall.Errno) {
	count, _, err := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)))
	return int(count), err
}

func number(text string) float64 {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || value <= 0 {
		fail(text + " is not a number above 0")
	}
	return value
}

func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(reason string) {
	fmt.Fprintln(os.Stderr, "open-loop: "+reason)
	os.Exit(1)
}
