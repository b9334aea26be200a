#!/usr/bin/env python3
"""A proxy that loses answers on purpose, so that any HTTP client can be shown what a lost answer is.

    scripts/lossy.py URL        listens on a free port of 127.0.0.1, in front of the server at URL; prints its own URL

A request whose `X-Request-Id` begins with `lose-me` is forwarded whole, the server's answer is read to its end, and then
the client's connection is cut without a byte of it: the server has done the work and the client cannot know. Each value
is lost once, so the same request sent again gets through, even if an HTTP library repeats it by itself. All else passes
as it is.
"""

import http.client
import http.server
import socket
import sys
import threading
import urllib.parse

MARK = "lose-me"
ANSWER_SECONDS_MAX = 60
# Fields of one connection, not of the message (RFC 9110 §7.6.1), and those that http.client writes itself.
HOP_BY_HOP = {"connection", "keep-alive", "http2-settings", "te", "transfer-encoding", "upgrade"}


class Lossy:
    """`with Lossy(url) as proxy:` runs a proxy at `proxy.url`; `proxy.lost` holds (method, path, status) of what it lost."""

    def __init__(self, upstream):
        self.upstream = urllib.parse.urlsplit(upstream).netloc
        self.lost, self.marks, self.lock = [], set(), threading.Lock()

    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.lossy = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def loses(self, mark, request):
        """Whether the answer to this request is to be lost: the first time that its mark is seen."""
        with self.lock:
            if not mark.startswith(MARK) or mark in self.marks:
                return False
            self.marks.add(mark)
            self.lost.append(request)
            return True


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True  # the client hung up

    def forward(self):
        content = self._content()
        lossy = self.server.lossy
        upstream = http.client.HTTPConnection(lossy.upstream, timeout=ANSWER_SECONDS_MAX)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP | {"content-length", "expect"}:
                    upstream.putheader(name, value)
            if content is not None:
                upstream.putheader("content-length", str(len(content)))
            upstream.endheaders(content)
            answer = upstream.getresponse()
            body = answer.read()
        finally:
            upstream.close()
        if lossy.loses(self.headers.get("x-request-id", ""), (self.command, self.path, answer.status)):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._pass_on(answer, body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = forward

    def _content(self):
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass  # trailer fields
            return b"".join(chunks)
        length = self.headers.get("content-length")
        return None if length is None else self.rfile.read(int(length))

    def _pass_on(self, answer, body):
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        if self.command != "HEAD" and answer.status not in (204, 304) and answer.getheader("content-length") is None:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        raise SystemExit(__doc__)
    with Lossy(sys.argv[1]) as proxy:
        print(proxy.url, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
