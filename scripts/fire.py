"""A proxy that treats clients as badly as a network can: it loses, cuts, delays, repeats, and answers by itself.

Each kind of fault comes up for each method equally often, in an order that the seed gives. What a client must do about
every single one is the same: send the request again, unchanged, and believe only what the API itself says.
"""

import collections
import http.client
import http.server
import random
import socket
import threading
import time
import urllib.parse

ANSWER_SECONDS_MAX = 60
RETRY_AFTER_SECONDS = 1
LATE_SECONDS = (0.05, 0.5)
PASS = "pass"
FAULTS = (
    "request lost",  # the connection is closed, the server has seen nothing
    "answer lost",  # the server has done its work, the connection is closed
    "answer cut",  # … in the middle of the answer
    "late",  # the connection is closed, and the request arrives later
    "twice",  # the request arrives two times, the client sees the second answer
    "502",  # a page of the proxy, the server has seen nothing
    "502 afterwards",  # a page of the proxy, the server has done its work
    "503",  # … which says when to come again
    "404",  # a page of the proxy that looks like an answer
    "409 afterwards",  # JSON that is no problem of the API; the server has done its work
)
# Fields of one connection, not of the message (RFC 9110 §7.6.1), and those that http.client writes itself.
HOP_BY_HOP = {"connection", "keep-alive", "http2-settings", "upgrade", "host", "content-length", "transfer-encoding", "accept-encoding"}


class Fire:
    """`with Fire(url, seed) as fire:` runs a proxy at `fire.url` in front of the server at `url`."""

    def __init__(self, upstream, seed):
        self.upstream = urllib.parse.urlsplit(upstream).netloc
        self.random, self.lock = random.Random(seed), threading.Lock()
        self.decks, self.rounds = {}, collections.Counter()
        self.faults = collections.Counter()  # (method, fault)
        self.answers = collections.Counter()  # what the server answered: the slug of its problem, "replayed", a status
        self.impatient = []  # requests that came again before their Retry-After
        self.not_before, self.late = {}, []

    def __enter__(self):
        self.server = Listener(("127.0.0.1", 0), Handler)
        self.server.fire = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        for copy in self.late:
            copy.join()

    def draw(self, method):
        """What happens to the next request: every fault once in thirty requests of a method, and soon for the first time."""
        with self.lock:
            deck = self.decks.setdefault(method, [])
            if not deck:
                self.rounds[method] += 1
                deck += [PASS] * (10 if self.rounds[method] == 1 else 20) + list(FAULTS)
                self.random.shuffle(deck)
            fault = deck.pop()
            self.faults[method, fault] += 1
            return fault

    def requests(self):
        """How many there have been."""
        with self.lock:
            return self.faults.total()

    def forward(self, request):
        """The server's answer: status, fields, content."""
        method, path, fields, content = request
        connection = http.client.HTTPConnection(self.upstream, timeout=ANSWER_SECONDS_MAX)
        try:
            connection.request(method, path, content, fields)
            answer = connection.getresponse()
            result = answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()
        problem = answer.getheader("content-type", "") == "application/problem+json"
        with self.lock:
            if answer.getheader("idempotent-replayed"):
                self.answers["replayed"] += 1
            self.answers[result[2].split(b'"', 4)[3].decode().rpartition("/")[2] if problem else answer.status] += 1
        return result

    def forward_late(self, request):
        def copy(wait):
            time.sleep(wait)
            self.forward(request)

        thread = threading.Thread(target=copy, args=(self.random.uniform(*LATE_SECONDS),))
        self.late.append(thread)
        thread.start()

    def patience(self, request):
        """Notes who does not wait as told. POST and GET are the same for several clients, and can't be told apart."""
        with self.lock:
            if time.monotonic() < self.not_before.pop(str(request), 0):
                self.impatient.append(request)

    def told_to_wait(self, request):
        if request[0] not in ("POST", "GET"):
            with self.lock:
                self.not_before[str(request)] = time.monotonic() + RETRY_AFTER_SECONDS


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Nothing: clients hang up when they are done, or are hung up on."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        fire = self.server.fire
        content = self.content()
        fields = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        request = self.command, self.path, fields, content
        fire.patience(request)
        fault = fire.draw(self.command)
        if fault == "late":
            fire.forward_late(request)
        answer = None
        if fault in (PASS, "answer lost", "answer cut", "twice", "502 afterwards", "409 afterwards"):
            answer = fire.forward(request)
        if fault == "twice":
            answer = fire.forward(request)
        if fault.startswith(("502", "503", "404")):
            page = [("Content-Type", "text/html")]
            if fault == "503":
                page.append(("Retry-After", str(RETRY_AFTER_SECONDS)))
                fire.told_to_wait(request)
            answer = int(fault[:3]), page, b"<h1>Something in between</h1>"
        if fault == "409 afterwards":
            answer = 409, [("Content-Type", "application/json")], b'{"type": "about:blank", "error": "conflict"}'
        message = self.message(*answer) if answer and fault != "answer lost" else b""
        if fault == "answer cut":
            message = message[: len(message) * 3 // 4]
        self.wfile.write(message)
        if fault in ("request lost", "answer lost", "answer cut", "late"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def content(self):
        if "transfer-encoding" not in self.headers:
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()  # no trailers: none of the examples sends any
        return b"".join(chunks)

    @staticmethod
    def message(status, fields, content):
        lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in fields if name.lower() not in ("content-length", "connection")]
        if status != 204:
            lines.append(f"content-length: {len(content)}")
        return "\r\n".join([*lines, "", ""]).encode() + content

    def log_message(self, *_):
        """Nothing: what happened is counted."""
