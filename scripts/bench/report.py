"""The figures of a run as Markdown tables, for the terminal and for docs/benchmarks.md."""

import re
import string

from bench import goals, plan
from bench.goals import Results

MISSING = "–"


def table(head, rows):
    """Columns of numbers are set right; the first column is words."""
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def number(value, pattern="{:,.0f}"):
    return MISSING if value is None else pattern.format(value)


def rates(run):
    results = Results(run)
    rows = []
    for work, connections in worked(run):
        cells = {name: results.find(name, work.name, connections) for name in plan.ALL}
        ratios = [results.ratio(goals.rate, work.name, connections, other) for other in ("pgbench", "etcd")]
        if work.name == "not-modified":  # beside the select of the same row
            ours, theirs = cells["ifmatch"], results.find("pgbench", "get", connections)
            ratios[0] = goals.rate(ours) / goals.rate(theirs) if theirs else None
        rows.append(
            [title(run, work), str(connections)]
            + [number(cell and goals.rate(cell)) for cell in cells.values()]
            + [number(ratio, "{:.2f} ×") for ratio in ratios]
        )
    head = ["work", "connections", "ifmatch /s", "pgbench /s", "etcd /s", "to pgbench", "to etcd"]
    return table(head, rows)


def latencies(run):
    results = Results(run)
    rows = []
    for work, connections in worked(run):
        cells = [results.find(name, work.name, connections) for name in plan.ALL]
        rows.append([title(run, work), str(connections)] + [percentiles(cell) for cell in cells])
    return table(["work", "connections", "ifmatch", "pgbench", "etcd"], rows)


def percentiles(cell):
    if cell is None:
        return MISSING
    return " / ".join(f"{cell[name] / 1000:.2f}" for name in ("p50_us", "p99_us", "p999_us"))


def costs(run):
    results = Results(run)
    rows = []
    for work, connections in worked(run):
        ours, pgbench, etcd = (results.find(name, work.name, connections) for name in plan.ALL)
        cpu = ours["cpu_us"]
        rows.append(
            [title(run, work), str(connections), number(goals.cpu(ours)), number(cpu["server"]), number(cpu["postgres"])]
            + [number(cell and goals.cpu(cell)) for cell in (pgbench, etcd)]
            + [number(ours["peak_mib"])]
        )
    head = ["work", "connections", "ifmatch", "server", "its Postgres", "pgbench's Postgres", "etcd", "peak memory, MiB"]
    return table(head, rows)


def curve(run):
    results = Results(run)
    rows = []
    for name, how in plan.CURVES.items():
        for pairs in sorted({cell["pairs"] for cell in run["cells"] if cell["table"] == name}):
            cell = results.find("ifmatch", name, plan.CURVE_CONNECTIONS, pairs=pairs)
            each = {field: cell[field] / cell["operations"] for field in ("conflicts", "round_trips")}
            rows.append(
                [how, f"{pairs:,}", number(goals.rate(cell)), f"{each['conflicts']:.2f}", f"{each['round_trips']:.2f}", percentiles(cell)]
            )
    head = ["after a conflict", "pairs", "transfers /s", "conflicts each", "round trips each", "p50 / p99 / p99.9, ms"]
    return table(head, rows)


def fairness(run):
    results = Results(run)
    rows = []
    for beside in (0, plan.BESIDE_LARGE):
        cell = results.find("ifmatch", plan.FAIRNESS, plan.CURVE_CONNECTIONS, beside=beside)
        if cell:
            what = f"beside {beside} that apply 100-change operations" if beside else "alone"
            rows.append([f"64 connections, one change, {what}", number(goals.rate(cell)), percentiles(cell)])
    return table(["", "/s", "p50 / p99 / p99.9, ms"], rows)


def big(run):
    measured = run.get("big")
    if not measured:
        return "Not measured in this run."
    few, many = f"{measured['keys']:,}", f"{measured['count']:,}"
    names = {"small": f"{few}, all written", "part": f"{many}, the same {few} written", "all": f"{many}, written at random"}
    rows = []
    for name, what in names.items():
        cell = measured["runs"][name]["median"]
        share = goals.rate(cell) / goals.rate(measured["runs"]["small"]["median"])
        starts = measured["start_seconds"].get("big" if name == "all" else name)
        rows.append(
            [what, number(goals.rate(cell)), f"{100 * share:.0f} %", percentiles(cell)]
            + [number(cell["cpu_us"][part]) for part in ("server", "postgres")]
            + [", ".join(f"{seconds:.2f}" for seconds in starts) if starts else MISSING]
        )
    head = ["resources, as many versions and transactions", "/s", "of the first", "p50 / p99 / p99.9, ms", "server, µs", "Postgres, µs", "starts, s"]
    return table(head, rows)


def goal_table(run):
    words = {True: "reached", False: "not reached", None: MISSING}
    rows = [[goal.work, goal.goal, goal.measured, words[goal.reached]] for goal in goals.judge(run)]
    return re.sub("---:", "---", table(["work", "goal", "measured", ""], rows))


def worked(run):
    """Works and connections that ifmatch was measured at, in the order of the plan."""
    done = {(cell["table"], cell["connections"]) for cell in run["cells"] if cell["contestant"] == "ifmatch"}
    counts = sorted({connections for _, connections in done})
    return [(work, count) for work in plan.WORKS for count in counts if (work.name, count) in done]


def title(run, work):
    return work.title.format(keys=f"{run['settings']['keys']:,}")


def spread(run):
    """How far rounds of the same work lie apart: the median over all cells of the greatest rate by the least."""
    ratios = []
    for cell in run["cells"]:
        measured = [round_["per_second"] for round_ in cell["rounds"]]
        ratios.append(max(measured) / min(measured))
    return sorted(ratios)[len(ratios) // 2] if ratios else None


def machine(run):
    facts = run["machine"]
    rows = [
        ["processor", f"{facts['cpu']}, {facts['cores']} cores"],
        ["memory", f"{facts['memory_gib']} GiB"],
        ["system", f"{facts['system']}, Linux {facts['kernel']}"],
        ["disk", f"{facts['file_system']}; {facts['fdatasync_us']:,} µs until 8 kB are on it (pg_test_fsync, fdatasync)"],
        ["ifmatch", f"{facts['ifmatch']}" + (f", commit {facts['commit']}" if facts["commit"] else "")],
        ["Postgres", f"{facts['postgres']}; {facts['pgbench']}"],
        ["etcd", facts["etcd"] or "not installed, not measured"],
        ["date", run["date"]],
        ["taken by other guests", f"{run['stolen_percent']:.1f} % of the processors' time; load before the run {run['load_before']:.2f}"],
        ["spread of rounds", f"the best is {spread(run):.2f} × the worst (median over all works)"],
    ]
    return re.sub("---:", "---", table(["", ""], rows))


TABLES = {"rates": rates, "latencies": latencies, "costs": costs, "curve": curve, "fairness": fairness, "big": big}


def terminal(run):
    """All that was measured. Tables without a row are left out."""
    parts = []
    for name, make in TABLES.items():
        text = make(run)
        if text.count("\n") > 1:
            parts.append(f"{name}\n\n{text}")
    return "\n\n".join([*parts, f"goals\n\n{goal_table(run)}"])


def document(template, run):
    """docs/benchmarks.md: the template with every ${name} replaced; a name that is not known is an error."""
    values = {name: make(run) for name, make in TABLES.items()}
    settings = {name: str(run["settings"][name]) for name in ("seconds", "warmup", "rounds")}
    values |= {"machine": machine(run), "goals": goal_table(run), "command": run["command"], **settings}
    values |= {"minutes": f"{run['seconds'] / 60:.0f}", "beside": str(plan.BESIDE_LARGE), "cores": str(run["machine"]["cores"])}
    big_run = run.get("big")
    values["disk_gib"] = f"{big_run['disk_gib']:.0f}" if big_run else MISSING
    return string.Template(template).substitute(values)
