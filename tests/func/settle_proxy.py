# SPDX-License-Identifier: AGPL-3.0-or-later
"""Stands between an agent and a node of the chain, and does what a file says: settle_proxy.py PORT NODE_URL RULE_FILE [CERTIFICATE]

With a CERTIFICATE (and its key, in one file) it speaks TLS.

The rule is one line, METHOD WHEN WHAT [ARGUMENT]. It is for the next request that has METHOD in it, or any, and gone then; with a '*' behind
METHOD it stays. WHEN: before (the node never sees the request) or after (it has answered, the agent does not know). WHAT: kill PID,
drop (hang up), status CODE, reply FILE (the file's bytes), chain ID (another chain's number in the node's answer).
Each request's methods are appended to RULE_FILE.log.

Lies are in RULE_FILE.lies, a line each, and hold as long as they stand there: METHOD[:SELECTOR] WHAT ARGUMENTS. WHAT: result JSON (instead
of the node's), error TEXT, span N (an error for logs of more blocks), field NAME TEXT (in an object), word N NUMBER (the 32 bytes of that place in what a call returned). SELECTOR: only calls
whose data begin with it, or logs whose first topic does.
"""
import http.server
import json
import os
import signal
import ssl
import sys
import urllib.request

port, node, rule_file = int(sys.argv[1]), sys.argv[2], sys.argv[3]


class Hangup(Exception):
    pass


def take_rule(body, when):
    try:
        with open(rule_file, encoding="utf-8") as f:
            words = f.read().split()
    except FileNotFoundError:
        return None
    if len(words) < 3 or words[1] != when:
        return None
    method = words[0].rstrip("*")
    if method != "any" and f'"{method}"' not in body:
        return None
    if not words[0].endswith("*"):
        os.unlink(rule_file)
    return words[2:]


def lies():
    try:
        with open(rule_file + ".lies", encoding="utf-8") as f:
            return [line.split(None, 2) for line in f if line.strip()]
    except FileNotFoundError:
        return []


def is_about(call, what):
    method, _, selector = what.partition(":")
    if call["method"] != method:
        return False
    if selector and method == "eth_getLogs":
        topics = call["params"][0].get("topics", [])
        return bool(topics) and isinstance(topics[0], str) and topics[0].startswith(selector)
    return not selector or call["params"][0].get("data", call["params"][0].get("input", "")).startswith(selector)


def blocks_of(call):
    first, last = (call["params"][0].get(key, "latest") for key in ("fromBlock", "toBlock"))
    return 1 << 62 if first == "earliest" or last == "latest" else int(last, 16) - int(first, 16) + 1


def lie(one, call, what, rest):
    if what == "span" and blocks_of(call) > int(rest):
        one.pop("result", None)
        one["error"] = {"code": -32000, "message": "block range too large"}
    if what == "error":
        one.pop("result", None)
        one["error"] = {"code": -32005, "message": rest}
    if "result" not in one:
        return
    if what == "result":
        one["result"] = json.loads(rest)
    elif what == "field" and isinstance(one["result"], dict):
        name, text = rest.split()
        one["result"][name] = text
    elif what == "word":
        n, number = (int(w) for w in rest.split())
        digits = one["result"]
        if len(digits) >= 66 + 64 * n:
            one["result"] = digits[: 2 + 64 * n] + f"{number:064x}" + digits[66 + 64 * n :]


def tell_lies(asked, reply):
    told = lies()
    if not told:
        return reply
    data = json.loads(reply)
    answers = {one.get("id"): one for one in (data if isinstance(data, list) else [data])}
    for call in asked if isinstance(asked, list) else [asked]:
        for about, what, rest in told:
            if call["id"] in answers and is_about(call, about):
                lie(answers[call["id"]], call, what, rest)
    return json.dumps(data).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body, headers=()):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def obey(self, rule, reply):
        """True: answered."""
        if rule[0] == "kill":
            os.kill(int(rule[1]), signal.SIGKILL)
            raise Hangup
        if rule[0] == "drop":
            raise Hangup
        if rule[0] == "status":
            self.answer(int(rule[1]), b"no", [("Retry-After", "1")])
            return True
        if rule[0] == "reply":
            with open(rule[1], "rb") as f:
                self.answer(200, f.read())
            return True
        if rule[0] == "chain":
            data = json.loads(reply)
            for one in data if isinstance(data, list) else [data]:
                if one.get("result") == "0x7a69":
                    one["result"] = hex(int(rule[1]))
            self.answer(200, json.dumps(data).encode())
            return True
        raise ValueError(rule)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        text = body.decode()
        try:
            asked = json.loads(text)
            with open(rule_file + ".log", "a", encoding="utf-8") as f:
                f.write(" ".join(q["method"] for q in (asked if isinstance(asked, list) else [asked])) + "\n")
            rule = take_rule(text, "before")
            if rule and self.obey(rule, b""):
                return
            ask = urllib.request.Request(node, body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(ask, timeout=20) as r:
                reply = tell_lies(asked, r.read())
            rule = take_rule(text, "after")
            if rule and self.obey(rule, reply):
                return
            self.answer(200, reply)
        except Hangup:
            self.close_connection = True
        except OSError:
            self.close_connection = True


server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
if len(sys.argv) > 4:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[4])
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
