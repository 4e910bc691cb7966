#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""An agent's double that has no end of events: record_api.py PORT PIECE

PIECE is the first answer of a real agent to GET /recording. Further pieces are its blocks of events, again and again, up to
60 MiB, and its last mark."""

import struct
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FILE_HEAD, BLOCK_HEAD, EVENTS, LOSS = 16, 48, 4, 5

with open(sys.argv[2], "rb") as f:
    first = f.read()
events, mark, at = b"", b"", FILE_HEAD
while at < len(first):
    kind, stored = struct.unpack_from("=4xH6xI", first, at)
    block = first[at:at + BLOCK_HEAD + stored]
    if kind == EVENTS:
        events += block
    elif kind == LOSS:
        mark = block
    at += len(block)
more = events * ((60 << 20) // len(events)) + mark


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        body = more if "since_seq" in self.path else first
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Api).serve_forever()
