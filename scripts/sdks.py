#!/usr/bin/env python3
"""Generates client SDKs from openapi.yaml, unpatched, and makes each a round trip against a server.

    scripts/sdks.py                   all of them
    scripts/sdks.py --fast            only those that take seconds
    scripts/sdks.py orval hey-api     these
    scripts/sdks.py --docs            only compares the code in docs/sdks.md with the round trips it comes from

Each SDK is a directory with an executable `run.sh <server URL> <output directory>`, called from the root of the
repository. It generates, compiles or type-checks, and runs the round trip; exit code 0 means that all of it went well,
69 that something is missing on this machine that it can't install. The last line that it prints is shown, and says what
it did, or what is missing. LOSSY_URL in its environment is a proxy that loses answers on purpose (see lossy.py): a run in
which no answer to an applied transaction got lost counts as failed, since a part of the round trip was not made.
"""

import argparse
import concurrent.futures
import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import sys
import textwrap
import time

import lossy
import server

ROOT = server.ROOT
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
DOCS = ROOT / "docs/sdks.md"
CANNOT_INSTALL = 69  # EX_UNAVAILABLE of sysexits.h
FAST_SECONDS_MAX, SLOW_SECONDS_MAX = 300, 1800
LOG_LINES_SHOWN = 60


@dataclasses.dataclass(frozen=True)
class Sdk:
    name: str  # the directory below sdks/
    system: tuple  # purposes of scripts/install.sh
    tools: tuple  # directories of manifests for scripts/tools.sh
    fast: bool = True


# The Python packages bring a Java runtime for openapi-generator; only the Java SDK needs a compiler.
PYTHON, NODE = "sdks/generators/python", "sdks/generators/node"
SDKS = [
    Sdk("openapi-generator-python", ("python",), (PYTHON,)),
    Sdk("openapi-python-client", ("python",), (PYTHON,)),
    Sdk("typescript-fetch", ("python", "node"), (PYTHON, NODE)),
    Sdk("hey-api", ("node",), (NODE,)),
    Sdk("openapi-fetch", ("node",), (NODE,)),
    Sdk("orval", ("node",), (NODE,)),
    Sdk("java", ("python", "java"), (PYTHON,), fast=False),
    Sdk("rust-reqwest", ("python",), (PYTHON,), fast=False),
    Sdk("progenitor", (), (), fast=False),
]


@dataclasses.dataclass
class Result:
    name: str
    verdict: str  # passed, failed, missing
    seconds: float
    remark: str


def install(sdks):
    """Installs what the SDKs need, once for all of them. Returns what could not be, by name of the SDK."""
    broken = {}
    for script, needs in (("install.sh", "system"), ("tools.sh", "tools")):
        for need in sorted({need for sdk in sdks for need in getattr(sdk, needs)}):
            done = subprocess.run([ROOT / "scripts" / script, need], cwd=ROOT, stdout=subprocess.DEVNULL)
            if done.returncode != 0:
                for sdk in sdks:
                    if need in getattr(sdk, needs):
                        broken.setdefault(sdk.name, f"scripts/{script} {need} failed, see above")
    return broken


def run(sdk, url):
    """Runs one SDK and judges it. Its output goes to a log, which is shown if it failed."""
    started = time.monotonic()
    script = ROOT / "sdks" / sdk.name / "run.sh"
    if not script.exists():
        return Result(sdk.name, "failed", 0, f"there is no {script.relative_to(ROOT)}")
    out, log = TARGET / "sdks" / sdk.name, TARGET / "sdks" / f"{sdk.name}.log"
    out.mkdir(parents=True, exist_ok=True)
    with lossy.Lossy(url) as proxy, log.open("wb") as output:
        process = subprocess.Popen(
            [script, url, out],
            cwd=ROOT,
            env=os.environ | {"LOSSY_URL": proxy.url, "CARGO_TARGET_DIR": str(TARGET)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(FAST_SECONDS_MAX if sdk.fast else SLOW_SECONDS_MAX)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)  # its own session: itself and what it started
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            status = f"no end after {error.timeout} s"
    seconds = time.monotonic() - started
    told = log.read_text(errors="replace").splitlines() or [""]
    if status == CANNOT_INSTALL:
        return Result(sdk.name, "missing", seconds, told[-1])
    if status != 0:
        print(*told[-LOG_LINES_SHOWN:], sep="\n", file=sys.stderr)
        return Result(sdk.name, "failed", seconds, f"exit code {status}; {log}" if isinstance(status, int) else status)
    if not any(method == "PUT" and "/transactions/" in path and status == 200 for method, path, status in proxy.lost):
        return Result(sdk.name, "failed", seconds, f"no answer to an applied PUT was lost: {proxy.lost}")
    return Result(sdk.name, "passed", seconds, told[-1])


def check_docs():
    """Every block of code in docs/sdks.md that names a file must occur in it, but for its indentation."""
    marked = re.findall(r"<!-- from (\S+) -->\n+```\w*\n(.*?)```", DOCS.read_text(), re.DOTALL)
    problems = [] if marked else [f"docs/{DOCS.name} shows no code of a round trip"]
    for name, code in marked:
        path = ROOT / name
        lines = path.read_text().splitlines() if path.exists() else []
        snippet = textwrap.dedent(code).strip("\n").splitlines()
        windows = (lines[start : start + len(snippet)] for start in range(len(lines) - len(snippet) + 1))
        if not any(textwrap.dedent("\n".join(window)).splitlines() == snippet for window in windows):
            problems.append(f"docs/{DOCS.name}: this code is not in {name}:\n{textwrap.indent(code, '    ')}")
    print("\n".join(problems) or f"docs/sdks.md: its {len(marked)} blocks of code are in the round trips", flush=True)
    return not problems


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [sdk.name for sdk in SDKS]
    parser.add_argument("name", nargs="*", metavar="name", choices=[[], *names], help=", ".join(names))
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--fast", action="store_true", help="those that take seconds")
    which.add_argument("--all", action="store_true", help="all of them, as without any argument")
    which.add_argument("--docs", action="store_true", help="only check the code in docs/sdks.md")
    parser.add_argument("--binary", default=server.default_binary(), help="the server to start")
    parser.add_argument("--jobs", type=int, default=2, help="how many at the same time (2 if left out)")
    arguments = parser.parse_args()
    if arguments.name and (arguments.fast or arguments.all or arguments.docs):
        parser.error("names, --fast, --all or --docs: one of them")
    return arguments


def main():
    arguments = parse_arguments()
    docs_hold = check_docs()
    if arguments.docs:
        raise SystemExit(0 if docs_hold else 1)
    chosen = [sdk for sdk in SDKS if sdk.name in arguments.name or not arguments.name and (sdk.fast or not arguments.fast)]
    started = time.monotonic()
    broken = install(chosen)
    results = [Result(name, "missing", 0, remark) for name, remark in broken.items()]
    with server.Server(arguments.binary) as running, concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        runs = [pool.submit(run, sdk, running.url) for sdk in chosen if sdk.name not in broken]
        for done in concurrent.futures.as_completed(runs):
            result = done.result()
            results.append(result)
            print(f"{result.name}: {result.verdict} after {result.seconds:.1f} s", flush=True)
    results.sort(key=lambda result: [sdk.name for sdk in SDKS].index(result.name))
    print(f"\n{'SDK':26} {'verdict':8} {'s':>6}  remark")
    for result in results:
        print(f"{result.name:26} {result.verdict:8} {result.seconds:6.1f}  {result.remark}")
    print(f"{sum(result.verdict == 'passed' for result in results)} of {len(results)} passed, {time.monotonic() - started:.1f} s")
    if not docs_hold or any(result.verdict != "passed" for result in results):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
