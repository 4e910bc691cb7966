#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Run every query of a Grafana board against a Prometheus: board_queries.py BOARD URL VICTIM

Each panel must be well formed and each of its queries must give data, those behind the board's variables too. What is wrong
is a line, and the exit status is 1.
"""

import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

VARIABLES = {"job": "linnix", "node": ".*", "resource": "cpu", "__rate_interval": "5s", "__range": "60s"}


def get(url, path, **params):
    try:
        with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(params)}", timeout=20) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as e:
        raise ValueError(json.load(e)["error"]) from e


def fill(text, victim):
    values = VARIABLES | {"victim": victim.replace("\\", "\\\\").replace('"', '\\"')}
    return re.sub(r"\$(\w+)", lambda m: values[m.group(1)], text)


def check_layout(board):
    panels = board["panels"]
    ids = [p["id"] for p in panels]
    if len(ids) != len(set(ids)):
        yield "two panels have the same id"
    taken = {}
    for p in panels:
        g = p["gridPos"]
        if g["x"] + g["w"] > 24:
            yield f"{p['title']}: outside of the grid"
        for cell in ((x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])):
            if cell in taken:
                yield f"{p['title']}: lies over {taken[cell]}"
                break
            taken[cell] = p["title"]
        if p["type"] != "row" and not p.get("description"):
            yield f"{p['title']}: says nothing about itself"


def check_form(board):
    """What Grafana needs to take the file as it is: no datasource of one installation, no variable that is nowhere."""
    if not isinstance(board.get("schemaVersion"), int) or board["schemaVersion"] < 36:
        yield "schemaVersion: the panels' data sources are objects since 36"
    if not board.get("uid") or not board.get("title") or board.get("id") is not None:
        yield "it needs a uid and a title, and no id of one installation"
    variables = {v["name"]: v for v in board["templating"]["list"]}
    if variables.get("datasource", {}).get("type") != "datasource":
        yield "no variable chooses the data source"
    used = set(re.findall(r"\$(?:{(\w+)}|(\w+))", json.dumps(board)))
    for name in {a or b for a, b in used} - set(variables):
        if not name.startswith("__"):
            yield f"${name} is nowhere defined"
    for p in board["panels"]:
        refs = [t["refId"] for t in p.get("targets", [])]
        if len(refs) != len(set(refs)):
            yield f"{p['title']}: two queries have the same refId"
        if p["type"] != "row" and p.get("datasource") != {"type": "prometheus", "uid": "${datasource}"}:
            yield f"{p['title']}: another data source"
        if p["gridPos"]["w"] < 1 or p["gridPos"]["h"] < 1 or p["gridPos"]["x"] < 0:
            yield f"{p['title']}: has no place"


def check_targets(board, url, victim):
    n = 0
    for p in board["panels"]:
        for t in p.get("targets", []):
            n += 1
            where = f"{p['title']}, query {t['refId']}"
            if t["datasource"]["uid"] != "${datasource}":
                yield f"{where}: another data source"
            try:
                rows = get(url, "query", query=fill(t["expr"], victim))["result"]
            except (ValueError, KeyError) as e:
                yield f"{where}: {e}"
                continue
            print(f"{where}: {len(rows)} series, for example {rows[0]['value'][1] if rows else None}")
            if not rows:
                yield f"{where}: no data"
            # Outside of a cluster a namespace is empty, and to Prometheus an empty label is none.
            wanted = {w for w in re.findall(r"{{(\w+)}}", t.get("legendFormat", "")) if not w.endswith("_namespace")}
            if rows and not any(wanted <= set(r["metric"]) for r in rows) and "vector(0)" not in t["expr"]:
                yield f"{where}: its legend names labels that are not there: {wanted - set(rows[0]['metric'])}"
    if n < 15:
        yield f"only {n} queries"


def check_variables(board, url, victim):
    for v in board["templating"]["list"]:
        if v["type"] != "query":
            continue
        found = re.fullmatch(r"label_values\((.*), (\w+)\)", v["query"]["query"])
        if not found or v["definition"] != v["query"]["query"]:
            yield f"variable {v['name']}: {v['query']}"
            continue
        values = get(url, f"label/{found.group(2)}/values", **{"match[]": fill(found.group(1), victim)})
        print(f"variable {v['name']}: {values}")
        if not values:
            yield f"variable {v['name']}: no value"
        if v["name"] == "victim" and victim not in values:
            yield f"variable victim: {victim} is not in it"


def main(argv):
    if len(argv) != 4:
        print(__doc__, file=sys.stderr)
        return 2
    with open(argv[1], encoding="utf-8") as f:
        board = json.load(f)
    wrong = [*check_form(board), *check_layout(board), *check_targets(board, argv[2], argv[3]), *check_variables(board, argv[2], argv[3])]
    for line in wrong:
        print("WRONG", line)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
