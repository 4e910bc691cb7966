#!/usr/bin/python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""A receiver for notifiers: notify_server.py DIR [PORT]

Prints its port to DIR/port. Each request becomes a line of JSON in DIR/requests (path, headers, body, time). What it answers is
read from DIR/answers, one word for each request, the last one for all that follow: a status, STATUS:SECONDS for a Retry-After,
"hang" for none at all, "kill" to take the request and break the connection. /slack is checked against the limits of Slack's
Block Kit: what Slack would refuse is answered 400, with the reason in DIR/refused. /v1/chat/completions answers as an OpenAI-compatible
endpoint with DIR/llm, in which @E1@ and @NUMBER@ stand for an id and a number of the question.
"""
import http.server
import json
import os
import re
import sys
import threading
import time

DIR = sys.argv[1]
LOCK = threading.Lock()
COUNT = [0]

TEXT = {"plain_text", "mrkdwn"}


def text_object(o, most, kinds=TEXT):
    if o["type"] not in kinds:
        raise ValueError(f"text of type {o['type']}")
    if not 1 <= len(o["text"]) <= most:
        raise ValueError(f"a text of {len(o['text'])} characters, at most {most}")
    if o["type"] == "mrkdwn" and o.get("verbatim") is not True:
        raise ValueError("a text in which Slack looks for links")
    if o["type"] != "mrkdwn" and "verbatim" in o:
        raise ValueError("verbatim is of mrkdwn alone")
    for tag in re.findall(r"<([^>]*)>", o["text"]):
        if not re.match(r"(https?://|!date\^\d+\^)", tag):
            raise ValueError(f"markup <{tag}>")


def check_block(b):
    kind = b["type"]
    if kind == "header":
        text_object(b["text"], 150, {"plain_text"})
    elif kind == "section":
        if "text" not in b and "fields" not in b:
            raise ValueError("a section without text and fields")
        if "text" in b:
            text_object(b["text"], 3000)
        if "fields" in b and not 1 <= len(b["fields"]) <= 10:
            raise ValueError("fields of a section: 1 to 10")
        for f in b.get("fields", []):
            text_object(f, 2000)
    elif kind == "context":
        if not 1 <= len(b["elements"]) <= 10:
            raise ValueError("elements of a context: 1 to 10")
        for e in b["elements"]:
            text_object(e, 3000)
    elif kind == "actions":
        if not 1 <= len(b["elements"]) <= 25:
            raise ValueError("elements of actions: 1 to 25")
        ids = [e["action_id"] for e in b["elements"]]
        if len(set(ids)) != len(ids):
            raise ValueError("an action_id twice")
        for e in b["elements"]:
            if e["type"] != "button" or len(e["action_id"]) > 255 or len(e.get("value", "")) > 2000:
                raise ValueError("a button")
            text_object(e["text"], 75, {"plain_text"})
            if e.get("style", "danger") not in ("primary", "danger"):
                raise ValueError("style of a button")
            if "confirm" in e:
                text_object(e["confirm"]["title"], 100, {"plain_text"})
                text_object(e["confirm"]["text"], 300)
                text_object(e["confirm"]["confirm"], 30, {"plain_text"})
                text_object(e["confirm"]["deny"], 30, {"plain_text"})
    else:
        raise ValueError(f"a block of type {kind}")


def check_slack(body):
    o = json.loads(body)
    if not 1 <= len(o["text"]) <= 40000:
        raise ValueError("text of the message")
    if not 1 <= len(o["blocks"]) <= 50:
        raise ValueError(f"{len(o['blocks'])} blocks, at most 50")
    for b in o["blocks"]:
        check_block(b)


def next_answer():
    with LOCK:
        try:
            with open(os.path.join(DIR, "answers"), encoding="ascii") as f:
                words = f.read().split()
        except FileNotFoundError:
            words = []
        word = words[min(COUNT[0], len(words) - 1)] if words else "200"
        COUNT[0] += 1
        return word


def note(name, line):
    with LOCK, open(os.path.join(DIR, name), "a", encoding="utf-8") as f:
        f.write(line + "\n")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def llm(self, body):
        with open(os.path.join(DIR, "llm"), encoding="utf-8") as f:
            text = f.read()
        facts = json.loads(json.loads(body)["messages"][1]["content"])["facts"]
        first = next(f for f in facts if isinstance(f["value"], (int, float)))
        text = text.replace("@E1@", first["evidence"]).replace("@NUMBER@", f"{first['value']:.9g}")
        return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        note("requests", json.dumps({"path": self.path, "time": time.time(), "headers": dict(self.headers.items()), "body": body}))
        word = next_answer()
        if word == "hang":
            time.sleep(600)
            return
        if word == "kill":
            self.close_connection = True
            return
        status, _, after = word.partition(":")
        answer = "ok"
        if status == "200" and self.path.startswith("/slack"):
            try:
                check_slack(body)
            except (KeyError, TypeError, ValueError) as e:
                note("refused", f"{e}: {body}")
                status, answer = "400", "invalid_blocks"
        if self.path.endswith("/chat/completions") and status == "200":
            answer = self.llm(body)
        self.send_response(int(status))
        if after:
            self.send_header("Retry-After", after)
        self.send_header("Content-Length", str(len(answer.encode())))
        self.end_headers()
        self.wfile.write(answer.encode())


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


def main():
    s = Server(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 0), Handler)
    with open(os.path.join(DIR, "port.new"), "w", encoding="ascii") as f:
        f.write(str(s.server_address[1]))
    os.rename(os.path.join(DIR, "port.new"), os.path.join(DIR, "port"))
    s.serve_forever()


main()
