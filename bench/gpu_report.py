"""The results of bench/gpu as Markdown, for bench/results/gpu.md."""

import gpu_model
from gpu_steps import TOLERANCE, Plan

MIB = 1 << 20


def number(value, form=".1f"):
    return "" if value is None else format(value, form)


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)]


class Report:
    def __init__(self, results):
        self.content = results.content
        self.results = results
        plan = Plan(self.content["device"], self.content["quick"])
        self.side, self.large = plan.side, plan.large
        self.size = gpu_model.Size()

    def text(self):
        parts = [self.head(), self.acceptance(), self.rates(), self.roofs(), self.daemon(), self.large_pictures(), self.rest(), self.steps()]
        return "\n\n".join("\n".join(part) for part in parts if part) + "\n"

    # Restormer's rates: {way: {case: line}}, the last measurement of a case counts.
    def by_way(self):
        ways = {}
        for kind in ("peer", "ours"):
            for line in self.results.lines(kind=kind, network="restormer"):
                if "case" in line:
                    cases = ways.setdefault((kind, line["way"]), {})
                    cases[line["case"]] = {**cases.get(line["case"], {}), **line}
        return ways

    def best(self, kind, word="", accurate=False):
        """(tiles/s, way, case) of the headline's shape; None when there is none."""
        found = []
        for (who, way), cases in self.by_way().items():
            if who != kind or word not in way:
                continue
            if accurate and not self.is_right(cases):
                continue
            found += [(line["tiles_per_s"], way, case) for case, line in cases.items()
                      if case.startswith(f"{self.side}x{self.side}x") and "tiles_per_s" in line]
        return max(found, default=None)

    @staticmethod
    def is_right(cases):
        means = [line["mean_difference"] for line in cases.values() if "mean_difference" in line]
        return bool(means) and max(means) < TOLERANCE and all(line.get("finite", True) for line in cases.values())

    def head(self):
        machine = self.content["machine"]
        smi = (machine.get("nvidia-smi") or [{}])[0]
        lines = [f"{self.content['date']}: `{self.content['command']}`, {self.content['seconds']:.0f} s.", ""]
        if "name" in machine:
            lines.append(f"{machine['name']}, compute capability {machine['capability']}, {machine['multiprocessors']} multiprocessors, "
                         f"{machine['memory_bytes'] / (1 << 30):.0f} GiB; driver {smi.get('driver_version', 'unknown')}, "
                         f"clock {smi.get('clocks.sm', 'unknown')} of {smi.get('clocks.max.sm', 'unknown')} when it began, "
                         f"power limit {smi.get('power.limit', 'unknown')}.")
        else:
            lines.append(f"Device {machine.get('device', self.content['device'])}: a test of this program, not a measurement.")
        lines.append(f"PyTorch {machine.get('torch', 'unknown')}, cuDNN {machine.get('cudnn', 'none')}. "
                     f"Restormer of {'a test' if self.content['quick'] else '26.1 M'} random parameters; times are of batches that lie on the device.")
        return lines

    def acceptance(self):
        ours, compiled, eager = self.best("ours", accurate=True), self.best("peer", "compile"), self.best("peer", "eager")
        rows = []

        def row(what, value, wanted, holds, how):
            rows.append([what, value, wanted, "not measured" if holds is None else "yes" if holds else "no", how])

        ratio = ours[0] / compiled[0] if ours and compiled else None
        row("tiles/s over torch.compile's", number(ratio, ".2f"), ">= 1.5", None if ratio is None else ratio >= 1.5,
            f"{ours[1]}, {ours[2]} against {compiled[1]}, {compiled[2]}" if ratio else "")
        ratio = ours[0] / eager[0] if ours and eager else None
        row("tiles/s over eager PyTorch's", number(ratio, ".2f"), ">= 1", None if ratio is None else ratio >= 1,
            f"against {eager[1]}, {eager[2]}" if ratio else "")
        saturation = self.results.lines("saturation", network="restormer")
        ratio = saturation[-1]["ratio"] if saturation else None
        row("daemon over bare loop, Restormer", number(ratio, ".3f"), ">= 0.97", None if ratio is None else ratio >= 0.97, "")
        means = [(line["mean_difference"], line["way"]) for line in self.results.lines(kind="ours", network="restormer")
                 if "mean_difference" in line and ("fp16" in line["way"] or "bf16" in line["way"] or "mixed" in line["way"])]
        row("mean difference of 16-bit ways from fp32, the largest", number(max(means)[0], ".2g") if means else "", f"< {TOLERANCE}",
            max(means)[0] < TOLERANCE if means else None, max(means)[1] if means else "")
        row(f"tiles of {self.side}x{self.side} a second", number(ours[0] if ours else None), ">= 200", ours[0] >= 200 if ours else None,
            f"{ours[1]}, {ours[2]}" if ours else "")
        return ["## What was promised", "", *table(["what", "measured", "wanted", "holds", "how"], rows)]

    def rates(self):
        base = self.best("peer", "eager fp16") or self.best("peer", "eager")
        lines = ["## Restormer, tiles a second", ""]
        ways = self.by_way()
        cases = sorted({case for found in ways.values() for case in found if not case.startswith(self.large)},
                       key=lambda case: [-int(case.split("x")[0]), int(case.split("x")[2])])
        rows = []
        for (kind, way), found in ways.items():
            best = max((line["tiles_per_s"] for case, line in found.items()
                        if "tiles_per_s" in line and case.startswith(f"{self.side}x")), default=None)
            peak = [line["peak_bytes"] / MIB for case, line in found.items() if case == f"{self.side}x{self.side}x8" and "peak_bytes" in line]
            copied = max((line["overlapped_per_s"] for case, line in found.items()
                          if "overlapped_per_s" in line and case.startswith(f"{self.side}x")), default=None)
            mean = [line["mean_difference"] for line in found.values() if "mean_difference" in line]
            most = [line["largest_difference"] for line in found.values() if "largest_difference" in line]
            rows.append([f"{'PyTorch' if kind == 'peer' else 'retouchd'} {way}",
                         *(self.cell(found.get(case)) for case in cases),
                         number(best / base[0] if best and base else None, ".2f"), number(copied), number(max(mean, default=None), ".2g"),
                         number(max(most, default=None), ".2g"), number(peak[0] if peak else None, ".0f")])
        if not rows:
            return []
        head = ["way", *(case.replace("x", "\u00d7") for case in cases), f"of {base[1]}" if base else "", "with copies", "mean difference", "largest", "MiB at 8"]
        missing = [f"* {line['way']}: {line['error']}" for line in self.results.lines(network="restormer")
                   if "error" in line and "case" not in line and "picture" not in line]
        return [*lines, *table(head, rows), *(["", *dict.fromkeys(missing)] if missing else [])]

    @staticmethod
    def cell(line):
        if line is None:
            return ""
        if "tiles_per_s" in line:
            return number(line["tiles_per_s"])
        return "out of memory" if line.get("out_of_memory") else "failed"

    def roofs(self):
        """How near each way is to what the device can multiply and move, if it moved what a step of the ladder moves."""
        roofs = self.content["roofs"]
        copy, products = roofs.get("copy"), roofs.get("bf16")
        if not copy or not products or self.content["quick"]:
            return []
        moved, made = copy["bytes_per_s"], products["multiplications_per_s"]
        lines = ["## Against the device's roofs", "",
                 f"Measured: {moved / 1e12:.2f} TB/s read and written by copies; in TFLOP/s "
                 + ", ".join(f"{name} {2 * line['multiplications_per_s'] / 1e12:.0f}" for name, line in roofs.items() if name != "copy")
                 + f" on 8192\u00b3. A tile of {self.side}x{self.side} has {gpu_model.multiplications(self.size, self.side, self.side) / 1e9:.1f} GMAC."]
        bounds = []
        for step, name in enumerate(gpu_model.STEPS):
            most, why = gpu_model.bound(self.size, self.side, self.side, step, made, moved)
            bounds.append([f"{step} {name}", f"{gpu_model.tile_bytes(self.size, self.side, self.side, step) / 1e9:.1f}", number(most, ".0f"), why])
        rows = []
        for (kind, way), found in self.by_way().items():
            best = max((line["tiles_per_s"] for case, line in found.items()
                        if "tiles_per_s" in line and case.startswith(f"{self.side}x")), default=None)
            if best is None:
                continue
            flops = 2 * gpu_model.multiplications(self.size, self.side, self.side) * best
            shares = [best * gpu_model.tile_bytes(self.size, self.side, self.side, step) / moved for step in range(len(gpu_model.STEPS))]
            rows.append([f"{'PyTorch' if kind == 'peer' else 'retouchd'} {way}", number(best), f"{flops / 1e12:.0f}",
                         f"{100 * flops / 2 / made:.0f} %", *(f"{100 * share:.0f} %" for share in shares)])
        return [*lines, "", *table(["fused so far", "GB a tile", "tiles/s at most", "limited by"], bounds), "",
                "Of the matrix roof in bf16, and of the copy roof if it moved the bytes of step 0 to 5 (above 100 %: it moves fewer):", "",
                *table(["way", "best tiles/s", "TFLOP/s", "of the matrix roof", *map(str, range(len(gpu_model.STEPS)))], rows)]

    def daemon(self):
        rows = [[line["network"], line["way"], number(line["bare_tiles_per_s"]), number(line["daemon_tiles_per_s"]), number(line["ratio"], ".3f"),
                 number(line["busy_ratio"], ".3f"), line["tiles"], "no" if line.get("sandbox") is False else "yes"]
                for line in self.results.lines("saturation")]
        if not rows:
            return []
        return ["## The daemon against a bare loop", "",
                *table(["network", "way", "bare tiles/s", "daemon tiles/s", "ratio", "busy", "tiles", "sandbox"], rows)]

    def large_pictures(self):
        rows = []
        for line in self.results.lines("large"):
            if "case" in line and "compute_seconds" in line:
                rows.append([line["case"], "one pass", number(1 / line["compute_seconds"], ".2f"), number(line.get("peak_bytes", 0) / MIB, ".0f")])
            elif "frames_per_s" in line:
                rows.append([line["picture"], f"{line['tiles']} tiles of {line['tile']}, with copies", number(line["frames_per_s"], ".2f"), ""])
            else:
                rows.append([line.get("case") or line.get("picture"), line.get("error", ""), "", ""])
        if not rows:
            return []
        return ["## Whole pictures", "", f"Restormer, {self.results.lines('large')[0]['way']}.", "",
                *table(["picture and batch", "how", "a second", "MiB"], rows)]

    def rest(self):
        rows = [[line["network"], line["way"], line["case"], self.cell(line), number(line.get("overlapped_per_s")),
                 number(line.get("mean_difference"), ".2g")] for line in self.results.lines("others") if "case" in line]
        lines = ["## Other networks", "", *table(["network", "way", "batch", "tiles/s", "with copies", "mean difference"], rows)] if rows else []
        for line in self.results.lines("energy"):
            lines += ["", f"Energy: {line['joules_per_tile']:.2f} J a tile, {line['watts']:.0f} W on average ({line['way']}, {line['case']}, {line['seconds']:.1f} s)."]
        for line in self.results.lines("preview"):
            lines += ["", f"Previews while 7 MP pictures wait: half of them within {line['p50_s']:.3f} s, 95 % within {line['p95_s']:.3f} s; a batch takes {line['batch_s']:.3f} s."]
        rows = [[row["kernel"], row["channels"], row["side"], row["batch"], number(row["milliseconds"], ".3f"), number(row["tflops"]),
                 number(row["gb_per_second"], ".0f")] for line in self.results.lines("kernels") for row in line["report"]]
        if rows:
            lines += ["", "## Kernels", "", *table(["kernel", "channels", "side", "batch", "ms", "TFLOP/s", "GB/s"], rows)]
        return lines

    def steps(self):
        rows = [[name, step["status"], step["seconds"], step["reason"]] for name, step in self.content["steps"].items()]
        return ["## Steps", "", *table(["step", "status", "s", "why"], rows)]
