"""The goals, each judged by the figures of one and the same run."""

import dataclasses


@dataclasses.dataclass
class Goal:
    work: str
    goal: str
    measured: str
    reached: bool | None  # None: not measured


class Results:
    """The medians of a run, looked up by what was done."""

    def __init__(self, run):
        self.run = run
        self.cells = run["cells"]

    def find(self, contestant, table, connections, **more):
        """The medians of one cell, or None where it was not measured."""
        wanted = {"contestant": contestant, "table": table, "connections": connections, **more}
        for cell in self.cells:
            if all(cell[name] == value for name, value in wanted.items()):
                return cell["median"]
        return None

    def ratio(self, field, table, connections, other):
        """ifmatch's figure as a multiple of another's; `field` reads it from a cell."""
        ours, theirs = self.find("ifmatch", table, connections), self.find(other, table, connections)
        return field(ours) / field(theirs) if ours and theirs else None


def rate(cell):
    return cell["per_second"]


def cpu(cell):
    return sum(cell["cpu_us"].values())


def p50(cell):
    return cell["p50_us"]


def judge(run):
    """All goals, in the order in which they were set."""
    results = Results(run)
    goals = [
        at_least(2.5, "one change, 64 connections", "pgbench", results.ratio(rate, "put", 64, "pgbench")),
        at_least(3, "one change, 64 connections", "etcd", results.ratio(rate, "put", 64, "etcd")),
        at_least(15, "one hot key, 64 connections", "pgbench", results.ratio(rate, "hot", 64, "pgbench")),
        at_most(0.8, "CPU of a two-change operation, 64 connections", "pgbench's", results.ratio(cpu, "two", 64, "pgbench")),
        at_most(0.4, "CPU of a two-change operation, 64 connections", "etcd's", results.ratio(cpu, "two", 64, "etcd")),
        at_most(1.5, "one client, median latency of one change", "pgbench's", results.ratio(p50, "put", 1, "pgbench")),
        at_least(0.5, "GET by key, 64 connections", "pgbench's select of the same row", results.ratio(rate, "get", 64, "pgbench")),
        large(results),
        tail(results),
        memory(results),
    ]
    return goals + big(run.get("big")) + [Goal("purging in the background", "costs ≤ 10 %", "no purge yet", None), start(run.get("big"))]


def at_least(bound, work, of_whom, ratio):
    return compared(work, f"≥ {bound} × {of_whom}", ratio, ratio is not None and ratio >= bound)


def at_most(bound, work, of_whom, ratio):
    return compared(work, f"≤ {bound} × {of_whom}", ratio, ratio is not None and ratio <= bound)


def compared(work, goal, ratio, reached):
    if ratio is None:
        return Goal(work, goal, "not measured", None)
    return Goal(work, goal, f"{ratio:.2f} ×", reached)


def large(results):
    rates = {cell["connections"]: rate(cell["median"]) for cell in results.cells if cell["table"] == "large" and cell["contestant"] == "ifmatch"}
    work, goal = "100-change operations", "≥ 60,000 changes/s"
    if not rates:
        return Goal(work, goal, "not measured", None)
    connections = max(rates, key=rates.get)
    changes = 100 * rates[connections]
    return Goal(work, goal, f"{changes:,.0f} changes/s, {connections} connections", changes >= 60_000)


def tail(results):
    cell = results.find("ifmatch", "put", 64)
    work, goal = "one change, 64 connections: p99", "≤ 4 × p50"
    if cell is None:
        return Goal(work, goal, "not measured", None)
    ratio = cell["p99_us"] / cell["p50_us"]
    return Goal(work, goal, f"{ratio:.2f} ×", ratio <= 4)


def memory(results):
    """The most of any round of any work, not a median."""
    peaks = [
        (run["peak_mib"], cell["table"])
        for cell in results.cells
        for run in cell["rounds"]
        if cell["contestant"] == "ifmatch" and cell["connections"] == 256
    ]
    work, goal = "memory of the server, 256 connections", "≤ 150 MiB"
    if not peaks:
        return Goal(work, goal, "not measured", None)
    peak, table = max(peaks)
    return Goal(work, goal, f"{peak:.0f} MiB ({table})", peak <= 150)


def big(measured):
    if not measured:
        return [Goal("10,000,000 resources and finished transactions", "≥ 85 % of the rate with 100,000", "not measured", None)]
    few, many = f"{measured['keys']:,}", f"{measured['count']:,}"
    found = []
    for name, which in (("all", "written at random"), ("part", f"the same {few} of them written")):
        share = 100 * rate(measured["runs"][name]["median"]) / rate(measured["runs"]["small"]["median"])
        work = f"{many} resources and finished transactions, {which}"
        found.append(Goal(work, f"≥ 85 % of the rate with {few}", f"{share:.0f} %", share >= 85))
    return found


def start(measured):
    work, goal = "start on an existing data directory", "≤ 1.5 s"
    if not measured:
        return Goal(work, goal, "not measured", None)
    slowest = {name: max(seconds) for name, seconds in measured["start_seconds"].items()}
    sizes = {"small": measured["keys"], "big": measured["count"]}
    said = ", ".join(f"{seconds:.2f} s with {sizes[name]:,}" for name, seconds in slowest.items())
    return Goal(work, goal, said, max(slowest.values()) <= 1.5)
