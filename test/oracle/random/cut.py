"""A way to the server that breaks at one request of a sync: before the server hears of it, or when its answer is on the way back."""
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class CutLine:
    """`method` as `applyChunk` or `uploadChanges`; `silent`: nothing comes through after that, not even an abort."""

    def __init__(self, endpoint, method, after, silent):
        self.target = urlsplit(endpoint)
        self.method = method
        self.after = after
        self.silent = silent
        self.cut = False
        line = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                line.post(self)

            def log_message(self, *_args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}{self.target.path}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def post(self, handler):
        body = chunked_body(handler)
        here = not self.cut and handler.path.endswith("/" + self.method)
        if here:
            self.cut = True
        if (here and not self.after) or (self.cut and not here and self.silent):
            return self.answer(handler, 502, {}, b"cut")
        onward = HTTPConnection(self.target.hostname, self.target.port, timeout=30)
        headers = {name: value for name, value in handler.headers.items() if name.lower() in ("anki-sync", "content-type")}
        onward.request("POST", handler.path, body=iter([body]), headers={**headers, "Transfer-Encoding": "chunked"}, encode_chunked=True)
        response = onward.getresponse()
        got = response.read()
        onward.close()
        if here:
            return self.answer(handler, 502, {}, b"cut")
        kept = {name: value for name, value in response.getheaders() if name.lower() in ("anki-original-size", "content-type")}
        return self.answer(handler, response.status, kept, got)

    def answer(self, handler, status, headers, body):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        # the client would keep the connection for whoever gets this port next
        handler.send_header("Connection", "close")
        handler.close_connection = True
        handler.end_headers()
        handler.wfile.write(body)


def chunked_body(handler):
    if handler.headers.get("Transfer-Encoding", "").lower() != "chunked":
        return handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    pieces = []
    while True:
        size = int(handler.rfile.readline().split(b";")[0], 16)
        piece = handler.rfile.read(size)
        handler.rfile.readline()
        if size == 0:
            return b"".join(pieces)
        pieces.append(piece)
