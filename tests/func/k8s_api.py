#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""An API server's double for tests: k8s_api.py DIR PORT CERT KEY [PROTOCOL...]

Serves pods only, over TLS, in chunks as a real one does. What it says lies in files of DIR, read anew for every request:
list.json is the answer to a list, byte by byte if all its pods are on the node that is asked for; lines of watch.jsonl whose
resourceVersion is above the one asked for are the answer to a watch, and so are lines that are added later. The token must
be the text of DIR/token. DIR/mode holds one word: ok, forbidden, error, gone-list, gone-watch, cut, slow, silent.
DIR/requests gets a line for every request."""

import json
import os
import ssl
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DIR, PORT, CERT, KEY = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
NEVER = threading.Event()
LOG = threading.Lock()


def text(name, default=""):
    try:
        with open(os.path.join(DIR, name), encoding="utf-8") as f:
            return f.read()
    except FileNotFoundError:
        return default


def version(line):
    return int(json.loads(line)["object"]["metadata"].get("resourceVersion") or 0)


def status(code, reason, message):
    return json.dumps({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                       "message": message, "reason": reason, "code": code}) + "\n"


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def begin(self, code, kind="application/json"):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def whole(self, code, body, kind="application/json", size=1000):
        data = body.encode()
        self.begin(code, kind)
        for i in range(0, len(data), size):
            self.chunk(data[i:i + size])
        self.chunk(b"")

    def list(self, node, query):
        while text("mode").strip() == "hold":
            NEVER.wait(0.05)
        if self.mode == "gone-list" and query.get("resourceVersion"):
            return self.whole(410, status(410, "Expired", "too old resource version"))
        body = text("list.json", '{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}')
        found = json.loads(body)
        mine = [p for p in found["items"] if not node or p["spec"].get("nodeName") == node]
        if len(mine) != len(found["items"]):
            found["items"] = mine
            body = json.dumps(found)
        return self.whole(200, body, size=1 if self.mode == "slow" else 1000)

    def watch(self, query):
        mode = self.mode
        since = int(query.get("resourceVersion") or 0)
        left = float(query.get("timeoutSeconds") or 300)
        self.begin(200)
        if mode == "gone-watch":
            self.chunk(text("watch_410.txt").split("\n")[0].encode() + b"\n")
            return self.chunk(b"")
        if mode == "silent":
            NEVER.wait(left)
            return self.chunk(b"")
        while left > 0:
            lines = text("watch.jsonl").splitlines()
            if text("mode").strip() != mode:  # a server that goes down in between, and tells nothing of what came after
                self.close_connection = True
                return None
            for line in lines:
                if not line or version(line) <= since:
                    continue
                data = (line + "\n").encode()
                if mode == "cut":
                    self.chunk(data[:len(data) // 2])
                    self.close_connection = True
                    return self.connection.unwrap()
                step = 7 if mode == "slow" else 700
                for i in range(0, len(data), step):
                    self.chunk(data[i:i + step])
                since = version(line)
            NEVER.wait(0.05)
            left -= 0.05
        return self.chunk(b"")

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        auth = self.headers.get("Authorization", "")
        self.mode = text("mode").strip()  # before it is told: who reads of the request may change the mode then
        with LOG, open(os.path.join(DIR, "requests"), "a", encoding="utf-8") as f:
            f.write(f"{self.command} {self.path} {auth}\n")
        try:
            self.answer(url.path, query, auth)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError, OSError):
            self.close_connection = True

    def answer(self, path, query, auth):
        mode = self.mode
        if auth != "Bearer " + text("token").strip():
            return self.whole(401, "Unauthorized\n", "text/plain")
        if path in ("/api", "/apis"):
            kind = {"/api": {"kind": "APIVersions", "versions": ["v1"]},
                    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []}}[path]
            return self.whole(200, json.dumps(kind))
        if path == "/api/v1":
            return self.whole(200, json.dumps({
                "kind": "APIResourceList", "groupVersion": "v1",
                "resources": [{"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod",
                               "verbs": ["get", "list", "watch"], "shortNames": ["po"]}]}))
        if path != "/api/v1/pods":
            return self.whole(404, status(404, "NotFound", "only pods are here"))
        if mode == "forbidden":
            return self.whole(403, status(403, "Forbidden", 'pods is forbidden: User "linnix" cannot list'))
        if mode == "error":
            return self.whole(500, status(500, "InternalError", "etcd is away"))
        node = query.get("fieldSelector", "").partition("spec.nodeName=")[2]
        if query.get("watch") in ("1", "true"):
            return self.watch(query)
        return self.list(node, query)


server = ThreadingHTTPServer(("127.0.0.1", PORT), Api)
server.daemon_threads = True
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERT, KEY)
# A real one prefers h2; we do not speak it: who offers that gets no answer.
context.set_alpn_protocols(sys.argv[5:] or ["h2", "http/1.1"])
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
