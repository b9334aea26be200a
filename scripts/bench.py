#!/usr/bin/env python3
"""Measures the server beside pgbench and etcd, which do the same durable work, and judges its goals.

    scripts/bench.py                      everything, about 25 minutes; tables on standard output, target/bench/results.json
    scripts/bench.py --big 0              without the 10 million resources: about 12 minutes
    scripts/bench.py --quick              a fraction of a second each, only to see that it runs
    scripts/bench.py --only put,hot       these works
    scripts/bench.py --write              also writes docs/benchmarks.md and its plots
    scripts/bench.py --write --results target/bench/results.json     writes them from an earlier run

Every work is done by one contestant after the other, and that in several rounds; what is shown are medians of the rounds.
Exit code 1: a request failed, or a work has no result. A goal that is not reached is no failure: it is said.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import server
from bench import big, contestants, machine, plan, report

ROOT = server.ROOT
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
PAGE, PLOTS = ROOT / "docs/benchmarks.md", ROOT / "docs/benchmarks"
WARMUP_SECONDS = 0.4
BIG_SECONDS_LEAST = 5
QUICK = {"seconds": 0.3, "warmup": 0.1, "rounds": 1, "keys": 2_000, "big": 20_000, "connections": (1, 64), "pairs": (1, 100)}
FULL = {"seconds": 2.0, "warmup": WARMUP_SECONDS, "rounds": 3, "keys": plan.KEYS, "big": 10_000_000}
FULL |= {"connections": plan.CONNECTIONS, "pairs": plan.PAIRS}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, help="how long each work is measured, in each round (2)")
    parser.add_argument("--rounds", type=int, help="how often (3)")
    parser.add_argument("--big", type=int, metavar="N", help="so many resources and transactions (10 million); 0: none")
    parser.add_argument("--only", default="", metavar="WORKS", help=f"some of {', '.join(plan.NAMES)}, big")
    parser.add_argument("--quick", action="store_true", help="to see that it runs: the figures mean nothing")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md and docs/benchmarks/")
    parser.add_argument("--results", type=pathlib.Path, help="take this earlier run instead of measuring")
    parser.add_argument("--binary", type=pathlib.Path, help="the server; left out: it is built")
    parser.add_argument("--load", type=pathlib.Path, help="the load generator; left out: it is built")
    options = parser.parse_args()
    options.only = set(filter(None, options.only.split(",")))
    unknown = options.only - set(plan.NAMES) - {"big"}
    if unknown:
        parser.error(f"no such work: {', '.join(sorted(unknown))}")
    if options.write and (options.quick or options.only):
        parser.error("--write needs all works, measured at length")
    return options


def settings_of(options):
    settings = dict(QUICK if options.quick else FULL)
    for name in ("seconds", "rounds", "big"):
        if getattr(options, name) is not None:
            settings[name] = getattr(options, name)
    if options.only and "big" not in options.only:
        settings["big"] = 0
    return settings


def say(text):
    print(text, file=sys.stderr, flush=True)


def build(options):
    """The server and the load generator, where they are not given."""
    load = options.load
    if load is None:
        command = ["cargo", "bench", "--locked", "--no-run", "--bench", "load", "--message-format", "json"]
        built = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
        messages = [json.loads(line) for line in built.stdout.splitlines()]
        found = [message["executable"] for message in messages if message.get("target", {}).get("name") == "load"]
        load = pathlib.Path(found[-1])
    binary = options.binary
    if binary is None:
        # Last: what builds benchmarks puts a server there too, with features that only tests ask for.
        subprocess.run(["cargo", "build", "--locked", "--release"], cwd=ROOT, check=True)
        binary = TARGET / "release/ifmatch"
    return binary.resolve(), load.resolve()


def run_all(options, settings):
    """Starts all contestants, measures, stops them."""
    binary, load = build(options)
    begin = time.monotonic()
    names = options.only or set(plan.NAMES)
    etcd = shutil.which("etcd")
    if etcd is None:
        say("etcd is not installed (Debian: etcd-server): it is left out")
    span = (settings["warmup"], settings["seconds"])
    run = {"date": datetime.date.today().isoformat(), "command": command_line(), "settings": settings, "cells": []}
    run["load_before"] = os.getloadavg()[0]
    with contextlib.ExitStack() as stack:
        present = {}

        def join(contestant):
            stack.callback(contestant.stop)
            contestant.start()
            present[contestant.name] = contestant

        join(contestants.Ifmatch(binary, load))
        run["machine"] = machine.facts(present["ifmatch"].pg_bin, etcd, binary)
        before = machine.cpu_times()
        if names - {"big"}:
            join(contestants.Pgbench(present["ifmatch"], settings["keys"]))
            if etcd:
                join(contestants.Etcd(etcd, load, settings["keys"]))
            fill(present["ifmatch"], settings)
            planned = plan.cases(names, settings["connections"], settings["pairs"], present)
            run["cells"] = plan.measure(planned, present, settings["rounds"], span, settings["keys"], say)
    if settings["big"]:
        run["big"] = measure_big(binary, load, settings)
    run["stolen_percent"] = machine.stolen_percent(before, machine.cpu_times())
    run["seconds"] = time.monotonic() - begin
    return run


def command_line():
    return " ".join(["scripts/bench.py", *sys.argv[1:]])


def fill(ifmatch, settings):
    """The resources, by HTTP; then what pgbench's tables get too."""
    keys = max(settings["keys"], 2 * max(settings["pairs"]))
    ifmatch.run("get", 1, (0, 0.1), keys=keys)
    ifmatch.psql("-c", "VACUUM (ANALYZE) resources, versions, transactions")


def measure_big(binary, load, settings):
    count = big.count_that_fits(settings["big"])
    if count < settings["big"]:
        say(f"the disk has no room for {settings['big']:,} resources: {count:,}")
    if count < 2 * settings["keys"]:
        raise contestants.Failed("the disk is too full for that many resources")
    seconds = settings["seconds"] if settings["seconds"] < 1 else max(settings["seconds"], BIG_SECONDS_LEAST)
    span = (2 * settings["warmup"], seconds)
    return big.measure(binary, load, count, settings["keys"], settings["rounds"], span, say)


def write(run):
    """The page and its plots."""
    tools = subprocess.run(
        [ROOT / "scripts/tools.sh", "tools/bench"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    PLOTS.mkdir(exist_ok=True)
    plot = [pathlib.Path(tools) / "bin/python", ROOT / "tools/bench/plot.py", PLOTS]
    subprocess.run(plot, check=True, input=json.dumps(run), text=True)
    template = (ROOT / "tools/bench/benchmarks.md").read_text()
    PAGE.write_text(report.document(template, run))
    say(f"written: {PAGE.relative_to(ROOT)}, {PLOTS.relative_to(ROOT)}/")


def main():
    # As Ctrl-C does: whatever was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = arguments()
    if options.results:
        run = json.loads(options.results.read_text())
        if options.write and (run["settings"]["seconds"] < 1 or "--only" in run["command"]):
            raise SystemExit(f"{options.results} is of a part of the works, or of a quick run")
    else:
        try:
            run = run_all(options, settings_of(options))
        except contestants.Failed as failed:
            # What failed first, and what failed because of that.
            told = f"{failed.__context__}\n" if isinstance(failed.__context__, contestants.Failed) else ""
            raise SystemExit(f"bench: {told}{failed}") from None
        results = TARGET / "bench/results.json"
        results.parent.mkdir(parents=True, exist_ok=True)
        results.write_text(json.dumps(run, indent=1))
        say(f"results: {results}")
    print(report.terminal(run))
    if options.write:
        write(run)


if __name__ == "__main__":
    main()
