#!/usr/bin/env python3
"""What escalating costs: bytes, time and devices of three ways to restore photographs, and how many edges one cloud node serves.

    python3 bench/cascade_model.py [--json] [--edges 100,1000,5000] [--figures FILE] [--cloud-seconds 0.2] ...

The ways: `here` (every picture on the edge's own device), `sent` (every picture to the cloud node), and `hybrid` (preview and
score here, the part `rate` of the pictures to the node, the rest here). First a table of what one thousand pictures take, then a
simulation of discrete events: edges get folders of pictures, most of them in the evening, and share one node: its link, its
device, its disk.

              edge: device             edge: link up      node: link in, device, link out      edge: link down
    folder -> preview, score -+-> [ parallel ] ->|  ======>  |->  [ queue ] device  ->|  =======>  |-> result
                              +-> full pass  <----- over budget, or not begun within `timeout` ----+

Every queue is first come, first served. A trip whose device time would begin after its timeout takes none (the edge cancels it);
one that ends after it has cost the node what it cost. The way `sent` has no device at the edge, so it has no budget and no
timeout: it waits.

Figures are those of a 7 megapixel picture. Every one of FIGURES is an option and may stand in the JSON object of --figures.
No GPU was measured: `cloud_seconds` is an assumption. Needs Python alone.
"""

import argparse
import collections
import heapq
import itertools
import json
import math
import pathlib
import random
import sys

HOUR, DAY, MB, GIB = 3600.0, 86400.0, 1e6, 2**30
WAYS = ("here", "hybrid", "sent")
BIN = 900.0  # seconds; the busiest of these is what "peak" means
RETRY = 30.0  # seconds until a full node is asked again

# name: (default, what it is and where it comes from)
FIGURES = {
    "edge_seconds": (2.2, "a full pass on the edge: student-tiny, 2 cores, 40 tiles at 18.5 tiles/s (bench/results/saturation.md)"),
    "preview_seconds": (0.43, "preview and score on the edge: 6 tiles at that pace, and 0.11 s for the score, measured"),
    "cloud_seconds": (0.2, "a full pass on the node: ASSUMED, a large network at 200 tiles of 512 a second; no GPU was measured"),
    "stripped_mb": (3.08, "what is sent, a JPEG of quality 92 without metadata: mean of 1.65, 2.70, 3.49, 4.47, measured"),
    "exact_mb": (5.68, "a lossless answer: mean of PNG results of 5.16, 5.47, 5.74, 6.35, measured"),
    "small_mb": (1.05, "a JPEG answer of quality 95: mean of 0.98, 1.01, 1.04, 1.17, measured"),
    "edge_up_mbit": (20.0, "link of an edge, upwards: ASSUMED"),
    "edge_down_mbit": (100.0, "link of an edge, downwards: ASSUMED"),
    "node_up_mbit": (1000.0, "link of the node, upwards: ASSUMED"),
    "node_down_mbit": (1000.0, "link of the node, downwards: ASSUMED"),
    "node_disk_gib": (16.0, "uploads that the node keeps: serve.disk"),
    "rate": (0.10, "part of the pictures that is escalated: cascade.rate"),
    "parallel": (4, "pictures of an edge under way at once: cloud.parallel"),
    "timeout": (900.0, "seconds for one picture there and back: cloud.timeout"),
    "budget_per_hour": (120, "escalations of an edge: cloud.escalations_per_hour; 0: no bound"),
    "folders": (2.0, "folders that an edge gets in a day: ASSUMED"),
    "folder_size": (100.0, "pictures of a folder, mean: ASSUMED"),
    "folder_spread": (0.8, "sigma of its logarithm: ASSUMED"),
    "evening": (0.7, "part of the folders that comes around 19:30 (sigma 1 h), the others from 8 to 18: ASSUMED"),
}
SPREAD = (0.537, 0.876, 1.134, 1.452)  # sizes of the four pictures over their mean


def transfer_seconds(megabytes, mbit):
    return megabytes * 8 / mbit


def per_thousand(figures, answer_mb):
    """What 1,000 pictures take, with nobody else on the node."""
    f, rows = figures, {}
    for way in WAYS:
        share = {"here": 0.0, "hybrid": f["rate"], "sent": 1.0}[way]
        # One folder alone: its slowest resource sets the pace.
        device = 0.0 if way == "sent" else f["preview_seconds"] + (1 - share) * f["edge_seconds"]
        up, down = transfer_seconds(f["stripped_mb"], f["edge_up_mbit"]), transfer_seconds(answer_mb, f["edge_down_mbit"])
        pace = max(device, share * up, share * down, share * f["cloud_seconds"])
        rows[way] = {
            "share_escalated": share,
            "sent_gb": share * f["stripped_mb"],
            "received_gb": share * answer_mb,
            "edge_device_hours": 1000 * device / HOUR,
            "node_device_hours": 1000 * share * f["cloud_seconds"] / HOUR,
            "edge_link_hours": 1000 * share * max(up, down) / HOUR,
            "hours_for_one_edge_alone": 1000 * pace / HOUR,
        }
    return rows


class Line:
    """A device or a link: one at a time, first come, first served, in the order of the calls."""

    def __init__(self):
        self.free = 0.0
        self.busy = collections.Counter()  # seconds by bin

    def serve(self, arrival, seconds):
        start = max(arrival, self.free)
        self.free = start + seconds
        at = start
        while at < self.free - 1e-9:
            end = min(self.free, (at // BIN + 1) * BIN)
            self.busy[int(at // BIN)] += end - at
            at = end
        return self.free

    def utilisation(self, until):
        return {"day": sum(self.busy.values()) / max(until, 1.0), "peak": max(self.busy.values(), default=0.0) / BIN}


class Edge:
    def __init__(self, number, figures):
        self.number = number
        self.previews_until = 0.0
        self.fulls = collections.deque()  # pictures that wait for the device
        self.is_busy = False
        self.delayed = 0.0  # by previews that came while a full pass ran
        self.waiting = collections.deque()  # pictures that wait for a place among the parallel ones
        self.under_way = 0
        self.up_free = self.down_free = 0.0
        self.tokens, self.tokens_at = float(figures["budget_per_hour"]), 0.0


class Fleet:
    """Edges and their node through one day, until the last picture is done. Deterministic for a seed; more edges with the same seed
    keep the folders of the first ones."""

    def __init__(self, figures, answer_mb, way, edges, seed):
        self.f, self.answer_mb, self.way, self.seed = figures, answer_mb, way, seed
        self.edges = [Edge(number, figures) for number in range(edges)]
        self.incoming, self.device, self.outgoing = Line(), Line(), Line()
        self.events, self.order = [], itertools.count()
        self.taken = []  # of every picture: from the folder's arrival to the result
        self.trips = []  # of every picture that came back
        self.device_waits = []
        self.ends = collections.Counter()  # here, returned, timeout, over_budget
        self.stored = self.most_stored = self.full = 0
        self.last = 0.0
        self.came = 0
        self.sent_mb = self.received_mb = 0.0
        self.took_by_edge = collections.defaultdict(list)

    def at(self, when, action, *details):
        heapq.heappush(self.events, (when, next(self.order), action, details))

    def run(self):
        for edge in self.edges:
            dice = random.Random(f"{self.seed}/{edge.number}")
            for _ in range(poisson(dice, self.f["folders"])):
                hour = dice.gauss(19.5, 1.0) if dice.random() < self.f["evening"] else dice.uniform(8, 18)
                spread = self.f["folder_spread"]
                size = round(dice.lognormvariate(math.log(self.f["folder_size"]) - spread * spread / 2, spread))
                self.at(min(max(hour, 0.0), 24.0) * HOUR, self.folder, edge, max(1, size), dice)
        while self.events:
            when, _, action, details = heapq.heappop(self.events)
            action(when, *details)
        return self

    # The edge.

    def folder(self, now, edge, size, dice):
        self.came += size
        for _ in range(size):
            picture = (now, SPREAD[dice.randrange(len(SPREAD))])
            is_hard = self.way == "sent" or (self.way == "hybrid" and dice.random() < self.f["rate"])
            if self.way == "sent":
                self.escalate(now, edge, picture)
                continue
            edge.previews_until = max(now, edge.previews_until) + self.f["preview_seconds"]
            edge.delayed += self.f["preview_seconds"] if edge.is_busy else 0.0
            self.at(edge.previews_until, self.decide, edge, picture, is_hard)

    def decide(self, now, edge, picture, is_hard):
        if not is_hard:
            self.restore_here(now, edge, picture, "here")
        elif not self.pay(now, edge):
            self.restore_here(now, edge, picture, "over_budget")
        else:
            self.escalate(now, edge, picture)

    def pay(self, now, edge):
        bound = self.f["budget_per_hour"]
        if not bound:
            return True
        edge.tokens = min(bound, edge.tokens + (now - edge.tokens_at) * bound / HOUR)
        edge.tokens_at = now
        if edge.tokens < 1:
            return False
        edge.tokens -= 1
        return True

    def restore_here(self, now, edge, picture, why):
        edge.fulls.append((picture, why))
        self.next_full(now, edge)

    def next_full(self, now, edge):
        if edge.is_busy or not edge.fulls:
            return
        edge.is_busy = True
        self.at(max(now, edge.previews_until) + self.f["edge_seconds"], self.full_done, edge)

    def full_done(self, now, edge):
        if edge.delayed > 0:  # previews went first
            self.at(now + edge.delayed, self.full_done, edge)
            edge.delayed = 0.0
            return
        picture, why = edge.fulls.popleft()
        self.done(now, edge, picture, why)
        edge.is_busy = False
        self.next_full(now, edge)

    def done(self, now, edge, picture, why):
        self.ends[why] += 1
        self.taken.append(now - picture[0])
        self.took_by_edge[edge.number].append(now - picture[0])
        self.last = max(self.last, now)

    # The trip. Each step in the order of the events, so that every Line sees its arrivals in order.

    def escalate(self, now, edge, picture):
        edge.waiting.append(picture)
        self.next_trip(now, edge)

    def next_trip(self, now, edge):
        while edge.waiting and edge.under_way < self.f["parallel"]:
            edge.under_way += 1
            self.offer(now, edge, edge.waiting.popleft(), now)

    def deadline(self, begun):
        return begun + self.f["timeout"] if self.way == "hybrid" else math.inf

    def offer(self, now, edge, picture, begun):
        size = self.f["stripped_mb"] * picture[1] * MB
        if self.stored + size > self.f["node_disk_gib"] * GIB:
            self.full += 1
            if now + RETRY > self.deadline(begun):
                self.at(self.deadline(begun), self.give_up, edge, picture, 0)
            else:
                self.at(now + RETRY, self.offer, edge, picture, begun)
            return
        self.stored += size
        self.most_stored = max(self.most_stored, self.stored)
        edge.up_free = max(now, edge.up_free) + transfer_seconds(size / MB, self.f["edge_up_mbit"])
        self.at(edge.up_free, self.arrive, edge, picture, begun, size)

    def arrive(self, now, edge, picture, begun, size):
        self.sent_mb += size / MB
        there = self.incoming.serve(now, transfer_seconds(size / MB, self.f["node_down_mbit"]))
        wait = max(0.0, self.device.free - there)
        if there + wait > self.deadline(begun):
            self.at(max(there, self.deadline(begun)), self.give_up, edge, picture, size)
            return
        self.device_waits.append(wait)
        computed = self.device.serve(there, self.f["cloud_seconds"])
        self.at(computed, self.computed, edge, picture, begun, size)

    def computed(self, now, edge, picture, begun, size):
        self.stored -= size
        self.received_mb += self.answer_mb
        sent = self.outgoing.serve(now, transfer_seconds(self.answer_mb, self.f["node_up_mbit"]))
        edge.down_free = max(sent, edge.down_free + transfer_seconds(self.answer_mb, self.f["edge_down_mbit"]))
        if edge.down_free > self.deadline(begun):
            self.at(max(now, self.deadline(begun)), self.give_up, edge, picture, 0)
        else:
            self.at(edge.down_free, self.returned, edge, picture, begun)

    def returned(self, now, edge, picture, begun):
        self.trips.append(now - begun)
        edge.under_way -= 1
        self.done(now, edge, picture, "returned")
        self.next_trip(now, edge)

    def give_up(self, now, edge, picture, size):
        self.stored -= size
        edge.under_way -= 1
        self.restore_here(now, edge, picture, "timeout")
        self.next_trip(now, edge)

    def summary(self):
        pictures = len(self.taken)
        tried = self.came if self.way == "sent" else sum(self.ends[end] for end in ("returned", "timeout", "over_budget"))
        part = lambda end: self.ends[end] / tried if tried else 0.0
        until = max(DAY, self.last)
        device = self.device.utilisation(until)
        return {
            "way": self.way,
            "edges": len(self.edges),
            "pictures": pictures,
            "escalated": tried,
            "share_escalated": tried / max(1, pictures),
            "sent_gb": self.sent_mb / 1000,
            "received_gb": self.received_mb / 1000,
            "returned": self.ends["returned"],
            "timeout": part("timeout"),
            "over_budget": part("over_budget"),
            "completion_p50": quantile(self.taken, 0.5),
            "completion_p95": quantile(self.taken, 0.95),
            "trip_p50": quantile(self.trips, 0.5),
            "trip_p95": quantile(self.trips, 0.95),
            "queue_p95": quantile(self.device_waits, 0.95) / self.f["cloud_seconds"],
            "queue_most": max(self.device_waits, default=0.0) / self.f["cloud_seconds"],
            "device_day": device["day"],
            "device_peak": device["peak"],
            "link_in_peak": self.incoming.utilisation(until)["peak"],
            "link_out_peak": self.outgoing.utilisation(until)["peak"],
            "stored_most_gib": self.most_stored / GIB,
            "offers_to_a_full_disk": self.full,
            "last_done_hours": self.last / HOUR,
        }


def poisson(dice, mean):
    count, product, limit = 0, dice.random(), math.exp(-mean)
    while product > limit:
        count, product = count + 1, product * dice.random()
    return count


def quantile(values, part):
    return sorted(values)[min(len(values) - 1, int(part * len(values)))] if values else 0.0


def check():
    """What must hold whatever the figures are; AssertionError says what does not."""
    figures = {name: default for name, (default, _) in FIGURES.items()} | {"cloud_seconds": 2.0, "folder_size": 40.0}
    answer = figures["exact_mb"]
    for way in WAYS:
        before = None
        for edges in (20, 60, 180):
            fleet = Fleet(figures, answer, way, edges, seed=7).run()
            row = fleet.summary()
            assert fleet.came == len(fleet.taken) == sum(fleet.ends.values()) > 0, "pictures in are pictures out"
            assert min(fleet.taken) >= 0 and abs(fleet.stored) < 1, "nothing ends before it came, and no upload stays"
            for line in (fleet.device, fleet.incoming, fleet.outgoing):
                assert max(line.busy.values(), default=0) <= BIN + 1e-6, "no line is busier than all the time"
            assert all(not edge.fulls and not edge.waiting and not edge.under_way for edge in fleet.edges), "everybody is done"
            assert (way == "here") == (row["escalated"] == 0) and (way != "sent" or row["returned"] == row["pictures"])
            # The first edges fare no better among more.
            took = sum(sum(fleet.took_by_edge[number]) for number in range(20))
            assert before is None or took >= before * 0.999, "more edges make nobody faster"
            before = took
    again = [Fleet(figures, answer, "hybrid", 30, seed=3).run().summary() for _ in range(2)]
    assert again[0] == again[1], "a seed tells everything"
    starved = Fleet(figures | {"budget_per_hour": 1}, answer, "hybrid", 30, seed=3).run().summary()
    assert starved["over_budget"] > 0.1 > again[0]["over_budget"], "a small budget is felt"
    late = Fleet(figures | {"timeout": 5.0}, answer, "hybrid", 30, seed=3).run().summary()
    assert late["timeout"] > again[0]["timeout"] and late["trip_p95"] <= 5.0, "no trip takes longer than its timeout"
    tight = Fleet(figures | {"node_disk_gib": 0.01}, answer, "sent", 30, seed=3).run()
    assert tight.full > 0 and tight.most_stored <= 0.01 * GIB and tight.came == len(tight.taken), "a full disk delays only"
    rows = per_thousand(figures, answer)
    assert math.isclose(rows["hybrid"]["sent_gb"], figures["rate"] * rows["sent"]["sent_gb"])


def span(seconds):
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min" if seconds < 2 * HOUR else f"{seconds / HOUR:.1f} h"


def print_tables(result):
    f = result["figures"]
    print(f"1,000 pictures of 7 MP, a node with {1 / f['cloud_seconds']:.3g} pictures/s (assumed), answer {result['answer']}\n")
    print("| way | escalated | sent | received | device here | device there | one edge alone takes |\n|---|---|---|---|---|---|---|")
    for way, row in result["per_thousand"].items():
        print(f"| {way} | {row['share_escalated']:.0%} | {row['sent_gb']:.2f} GB | {row['received_gb']:.2f} GB | "
              f"{60 * row['edge_device_hours']:.1f} min | {60 * row['node_device_hours']:.1f} min | "
              f"{60 * row['hours_for_one_edge_alone']:.1f} min |")
    print(f"\nOne day, {f['folders'] * f['folder_size']:.0f} pictures an edge, {f['evening']:.0%} of the folders in the evening\n")
    columns = ("way", "edges", "pictures", "escalated", "p50", "p95", "trip p50", "trip p95", "queue p95", "device day / peak",
               "link in / out, peak", "disk", "timeout", "over budget", "last at")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in result["days"]:
        print(f"| {row['way']} | {row['edges']:,} | {row['pictures']:,} | {row['escalated']:,} | {span(row['completion_p50'])} | "
              f"{span(row['completion_p95'])} | {span(row['trip_p50'])} | {span(row['trip_p95'])} | {row['queue_p95']:,.0f} | "
              f"{row['device_day']:.0%} / {row['device_peak']:.0%} | {row['link_in_peak']:.0%} / {row['link_out_peak']:.0%} | "
              f"{row['stored_most_gib']:.1f} GiB | {row['timeout']:.1%} | {row['over_budget']:.1%} | {row['last_done_hours']:.1f} h |")


def figures_of(arguments):
    figures = {name: default for name, (default, _) in FIGURES.items()}
    if arguments.figures:
        given = json.loads(arguments.figures.read_text(encoding="utf-8"))
        if unknown := sorted(set(given) - set(FIGURES)):
            sys.exit(f"cascade_model.py: {arguments.figures}: unknown: {', '.join(unknown)}")
        figures |= given
    figures |= {name: value for name in FIGURES if (value := getattr(arguments, name)) is not None}
    if bad := [name for name, value in figures.items() if value < 0 or (value == 0 and name.endswith(("_mbit", "_seconds", "parallel")))
               or (value > 1 and name in ("rate", "evening"))]:
        sys.exit(f"cascade_model.py: out of range: {', '.join(bad)}")
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--json", action="store_true", help="one object")
    parser.add_argument("--check", action="store_true", help="test the model itself, print nothing")
    parser.add_argument("--edges", default="100,1000,3000,5000", help="sizes of the fleet (default: %(default)s)")
    parser.add_argument("--ways", default="hybrid,sent", help="that are simulated, of " + ", ".join(WAYS) + " (default: %(default)s)")
    parser.add_argument("--answer", choices=("exact", "small"), default="exact", help="cloud.answer (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--figures", type=pathlib.Path, help="a JSON object with some of the figures below")
    for name, (default, text) in FIGURES.items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(default), help=f"{text} (default: {default})")
    arguments = parser.parse_args()
    if arguments.check:
        return check()
    ways = arguments.ways.split(",")
    if not set(ways) <= set(WAYS):
        parser.error(f"--ways: of {', '.join(WAYS)}")
    figures = figures_of(arguments)
    answer_mb = figures[f"{arguments.answer}_mb"]
    days = [Fleet(figures, answer_mb, way, int(edges), arguments.seed).run().summary()
            for way in ways for edges in arguments.edges.split(",")]
    result = {"figures": figures, "answer": arguments.answer, "per_thousand": per_thousand(figures, answer_mb), "days": days}
    if arguments.json:
        print(json.dumps(result))
    else:
        print_tables(result)


if __name__ == "__main__":
    main()
