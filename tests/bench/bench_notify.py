#!/usr/bin/python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""From the alert to the incident on disk and to a delivered webhook: bench_notify.py DB DIR COUNT

Takes webhooks on a port that it writes to DIR/port, and looks into the history file as another process does: an incident counts
as stored when it can be read there. Starts DIR/bin/lnx-bench-N for each of COUNT rules, one after the other, and prints
"stored_p50 stored_p99 delivered_p50 delivered_p99 COUNT" in ms, from the time of the alert.
"""
import http.server
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time

DB, DIR, COUNT = sys.argv[1], sys.argv[2], int(sys.argv[3])
delivered, stored = {}, {}
wake = threading.Condition()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        now = time.time_ns()
        self.send_response(204)
        self.end_headers()
        with wake:
            for e in json.loads(body)["events"]:
                if e["type"] == "incident.open" and e["incident"]["rule"].startswith("bench-"):
                    delivered.setdefault(e["incident"]["id"], now)
            wake.notify_all()


def watch():
    db = sqlite3.connect(f"file:{DB}?mode=ro", uri=True, isolation_level=None)
    seen = -1
    while True:
        version = db.execute("PRAGMA data_version").fetchone()[0]
        if version == seen:
            time.sleep(0.0005)
            continue
        seen = version
        rows = db.execute("SELECT id, ts_ns FROM record WHERE kind = 1 ORDER BY ts_ns DESC LIMIT 20").fetchall()
        now = time.time_ns()
        with wake:
            for i, ts in rows:
                stored.setdefault(i, (now - ts) / 1e6)
                opened[i] = ts
            wake.notify_all()


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p))]


opened = {}
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
with open(os.path.join(DIR, "port.new"), "w", encoding="ascii") as f:
    f.write(str(server.server_address[1]))
os.rename(os.path.join(DIR, "port.new"), os.path.join(DIR, "port"))
# The agent starts when it knows the port.
deadline = time.time() + 60
while not os.path.exists(os.path.join(DIR, "go")):
    if time.time() > deadline:
        sys.exit("bench_notify: no agent")
    time.sleep(0.01)
threading.Thread(target=watch, daemon=True).start()
for n in range(COUNT):
    with wake:
        before = len(delivered)
        subprocess.run([os.path.join(DIR, "bin", f"lnx-bench-{n}")], check=True)
        if not wake.wait_for(lambda: len(delivered) > before and len(stored) > before, timeout=20):
            sys.exit(f"bench_notify: alert {n} leads to nothing")
ours = [i for i in delivered if i in stored and i in opened]
s = [stored[i] for i in ours]
d = [(delivered[i] - opened[i]) / 1e6 for i in ours]
print(f"{percentile(s, 0.5):.3g} {percentile(s, 0.99):.3g} {percentile(d, 0.5):.3g} {percentile(d, 0.99):.3g} {len(ours)}")
