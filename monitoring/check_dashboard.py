#!/usr/bin/env python3
"""Checks grafana/retouchd.json without a Grafana: its shape, and with promtool every query in it.

Each query becomes a recording rule in the file named on the command line; check.sh has promtool read it.
"""
import json
import pathlib
import sys

DASHBOARD = pathlib.Path(__file__).parent / "grafana" / "retouchd.json"
GRID_WIDTH = 24


def overlaps(a, b):
    return a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]


def problems(dashboard):
    panels = dashboard["panels"]
    if dashboard["schemaVersion"] != 38:
        yield "schemaVersion is not Grafana 10's 38"
    if {variable["name"] for variable in dashboard["templating"]["list"]} != {"datasource", "instance"}:
        yield "the variables are not datasource and instance"
    ids = [panel["id"] for panel in panels]
    if len(ids) != len(set(ids)):
        yield "two panels have the same id"
    for index, panel in enumerate(panels):
        title, grid = panel["title"], panel["gridPos"]
        if grid["x"] + grid["w"] > GRID_WIDTH:
            yield f"{title}: beyond the grid"
        for other in panels[:index]:
            if overlaps(grid, other["gridPos"]):
                yield f"{title}: lies over {other['title']}"
        if panel["type"] == "row":
            continue
        if not panel["targets"]:
            yield f"{title}: no query"
        if panel["type"] != "heatmap" and not panel["fieldConfig"]["defaults"].get("unit"):
            yield f"{title}: no unit"
        for target in panel["targets"]:
            if 'instance=~"$instance"' not in target["expr"]:
                yield f"{title}: ignores $instance"
            if target["datasource"]["uid"] != "${datasource}":
                yield f"{title}: ignores $datasource"


def rules(dashboard):
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    expanded = [query.replace("$__rate_interval", "5m").replace("$instance", ".*") for query in queries]
    return {"groups": [{"name": "dashboard", "rules": [{"record": f"query:{i}", "expr": e} for i, e in enumerate(expanded)]}]}


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: check_dashboard.py RULES_FILE_TO_WRITE")
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    found = list(problems(dashboard))
    for problem in found:
        print(f"{DASHBOARD.name}: {problem}", file=sys.stderr)
    # YAML is a superset of JSON.
    pathlib.Path(sys.argv[1]).write_text(json.dumps(rules(dashboard), indent=1), encoding="utf-8")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
