"""Reads what a proxy has forwarded as Python's http.server does, over connections in memory, and as h11 does where it is there.

On standard input: a length of four octets (big endian) and that many bytes, one connection after the other. On standard
output: one line of JSON for each. http.server reads heads only; bodies are read by http.client's own decoder of chunks.
"""
import hashlib
import http.client
import http.server
import io
import json
import struct
import sys

try:
    import h11
except ImportError:
    h11 = None


class Connection:
    """What the handler takes for a socket."""

    def __init__(self, data):
        self.input = io.BytesIO(data)
        self.output = io.BytesIO()

    def makefile(self, mode, *_args):
        return self.input if "r" in mode else self.output

    def sendall(self, data):
        self.output.write(data)


class Chunks(http.client.HTTPResponse):
    """The decoder of chunked bodies in http.client, without a response around it."""

    def __init__(self, stream):
        io.BufferedIOBase.__init__(self)
        self.fp = stream
        self.debuglevel = 0
        self.chunked = True
        self.chunk_left = None
        self.length = None
        self._method = "GET"

    def whole(self):
        parts = []
        while True:
            left = self._get_chunk_left()
            if left is None:
                return b"".join(parts)
            parts.append(self._safe_read(left))
            self.chunk_left = 0

    def _close_conn(self):
        self.fp = None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self):
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        try:
            body = self.body()
        except (http.client.HTTPException, ValueError, OSError):
            self.close_connection = True
            return
        self.server.append(message(self.command, self.path, self.headers.get("Host", ""), body))
        self.send_response_only(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return Chunks(self.rfile).whole()
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        if len(body) != length:
            raise ValueError("the body broke off")
        return body

    def log_message(self, *_args):
        pass

    def finish(self):
        pass


def message(method, target, host, body):
    digest = hashlib.sha256(body).hexdigest()[:16]
    return {"method": method, "target": target, "host": host, "bodyBytes": len(body), "bodyHash": digest}


def read_by_server(data):
    messages = []
    connection = Connection(data)
    Handler(connection, ("127.0.0.1", 0), messages)
    lines = connection.output.getvalue().split(b"\r\n")
    refused = [line.decode("latin-1") for line in lines if line.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))]
    return {"messages": messages, **({"refused": refused[0]} if refused else {})}


def read_by_h11(data):
    messages = []
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    connection.receive_data(b"")
    head, body = None, b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                head, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                host = dict(head.headers).get(b"host", b"").decode("latin-1")
                messages.append(message(head.method.decode(), head.target.decode("latin-1"), host, body))
                connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is h11.MUST_CLOSE:
                    return {"messages": messages}
                connection.start_next_cycle()
            else:
                return {"messages": messages}
    except h11.RemoteProtocolError as error:
        is_cut = "incomplete" in str(error) or "without sending complete" in str(error)
        return {"messages": messages, **({} if is_cut else {"refused": str(error)})}


def main():
    read = read_by_h11 if sys.argv[1:] == ["h11"] else read_by_server
    if sys.argv[1:] == ["h11"] and h11 is None:
        print("absent", flush=True)
        return
    print("ready", flush=True)
    while True:
        head = sys.stdin.buffer.read(4)
        if len(head) < 4:
            return
        data = sys.stdin.buffer.read(struct.unpack(">I", head)[0])
        print(json.dumps(read(data)), flush=True)


main()
