"""The three that are compared: how each is started, how a work is run on it, what it has cost.

Each has `name`, `run(work, connections, span, **options)`, which returns what was measured, and `stop()`. A span is
(warm-up, measured) in seconds. Whatever goes wrong raises Failed: a run that lost a request has no result.
"""

import contextlib
import json
import math
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request

from bench import machine

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
START_SECONDS_MAX = 120
STOP_SECONDS_MAX = 120
PREPARE_SECONDS_MAX = 180
# A session of Postgres is slow at first: it fills its caches and plans. That is no part of what is compared.
PGBENCH_WARMUP_SECONDS_EACH = 0.004
# How much longer pgbench runs than it is measured; the next where the first was too little on a busy machine. To look at
# many sessions takes a while, too.
PGBENCH_MARGINS_SECONDS = (0.2, 2, 5)
PGBENCH_MARGIN_SECONDS_EACH = 0.002


class Failed(Exception):
    """Something did not do its work."""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def temporary_directory(name):
    directory = pathlib.Path(tempfile.mkdtemp(prefix=f"ifmatch-bench-{name}-"))
    directory.chmod(0o711)  # as root, Postgres runs as another user, who must be able to pass through
    return directory


def clean_environment():
    """Settings of the caller's own servers must not leak into ours."""
    ours = ("DATABASE_URL", "IFMATCH_", "ETCD_", "PG")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def wait_for_answer(url, process, log):
    """Polls until a GET is answered with 200; the seconds that it took."""
    begin = time.monotonic()
    while time.monotonic() < begin + START_SECONDS_MAX:
        if process.poll() is not None:
            raise Failed(f"it stopped with {process.returncode}:\n{log.read_text(errors='replace')}")
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10) as answer:
            if answer.status == 200:
                return time.monotonic() - begin
        time.sleep(0.002)
    raise Failed(f"no answer from {url} after {START_SECONDS_MAX} s:\n{log.read_text(errors='replace')}")


def stop_process(process):
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise Failed(f"process {process.pid} did not stop within {STOP_SECONDS_MAX} s") from None


def load_run(program, address, work, connections, span, cpu, options):
    """Runs the load generator; `cpu` returns seconds by name and is asked when measuring begins and ends."""
    warmup, seconds = span
    command = [program, "--address", address, "--work", work, "--connections", connections]
    command += ["--warmup", warmup, "--seconds", seconds]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}"] + ([] if value is True else [value])
    process = subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    watchdog = threading.Timer(PREPARE_SECONDS_MAX + warmup + 2 * seconds, process.kill)
    watchdog.start()
    spent, report = {}, ""
    try:
        for line in process.stdout:
            if line.strip() in ("begin", "end"):
                spent[line.strip()] = cpu()
            else:
                report = line
        errors = process.stderr.read()
        if process.wait() != 0 or not report or len(spent) != 2:
            raise Failed(f"load {work}, {connections} connections: exit code {process.returncode}: {errors.strip()}")
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
    measured = json.loads(report)
    if measured["operations"] == 0 or measured["failures"] > 0:
        raise Failed(f"load {work}, {connections} connections: {report.strip()}")
    measured["cpu_us"] = cpu_per_operation(spent["begin"], spent["end"], measured["operations"])
    return measured


def cpu_per_operation(begin, end, operations):
    if any(end[name] < begin[name] for name in begin):
        raise Failed(f"a process has ended while it was measured: {begin}, {end}")
    return {name: 1e6 * (end[name] - begin[name]) / operations for name in begin}


class Ifmatch:
    """A server with a private Postgres in a directory of its own, which a stop leaves as it is."""

    name = "ifmatch"

    def __init__(self, binary, load):
        self.binary, self.load = binary, load
        self.directory = temporary_directory("server")
        self.log = self.directory / "log"
        self.process = None

    def start(self, path="/health/ready"):
        """Starts it; the seconds from exec to the first `200` of a GET."""
        self.address = f"127.0.0.1:{free_port()}"
        command = [self.binary, "serve", "--listen", self.address, "--data-dir", self.directory / "data"]
        # Appended to, so that it can be emptied between runs.
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=clean_environment())
        seconds = wait_for_answer(f"http://{self.address}{path}", self.process, self.log)
        pid_file = (self.directory / "data/cluster/postmaster.pid").read_text().splitlines()
        self.postmaster, self.socket = int(pid_file[0]), pid_file[4]
        self.pg_bin = pathlib.Path(os.readlink(f"/proc/{self.postmaster}/exe")).parent
        return seconds

    def cpu(self):
        return {
            "server": machine.cpu_seconds(self.process.pid),
            "postgres": machine.postgres_cpu_seconds(self.postmaster),
        }

    def run(self, work, connections, span, **options):
        # A request is a line: what a whole run writes is not for the disk.
        os.truncate(self.log, 0)
        machine.peak_memory_reset(self.process.pid)
        measured = load_run(self.load, self.address, work, connections, span, self.cpu, options)
        measured["peak_mib"] = machine.peak_memory_mib(self.process.pid)
        if self.process.poll() is not None:
            raise Failed(f"the server is gone: {self.log.read_text(errors='replace')}")
        return measured

    def psql(self, *arguments):
        return psql(self.pg_bin, self.socket, *arguments)

    def halt(self):
        """Stops it, and keeps the directory."""
        if self.process is not None:
            process, self.process = self.process, None
            if stop_process(process) != 0:
                raise Failed(f"the server stopped with {process.returncode}: {self.log.read_text(errors='replace')}")

    def stop(self):
        try:
            self.halt()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)


def psql(pg_bin, socket_directory, *arguments):
    command = [pg_bin / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
    command += ["-h", socket_directory, "-U", "ifmatch", "-d", "postgres", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment())
    if done.returncode != 0:
        raise Failed(f"psql: {done.stderr.strip()}")
    return done.stdout.strip()


class Pgbench:
    """pgbench with prepared statements, in a cluster that is made and set as the server's private one is."""

    name = "pgbench"

    def __init__(self, ifmatch, keys):
        self.ifmatch, self.keys = ifmatch, keys
        self.pg_bin = ifmatch.pg_bin
        self.directory = temporary_directory("pgbench")
        self.cluster, self.socket = self.directory / "cluster", self.directory / "run"
        self.process = None

    def start(self):
        # The account that the private Postgres runs as: root may not run it.
        owner = (self.ifmatch.directory / "data/cluster").stat()
        root = os.geteuid() == 0
        identity = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if root else {}
        self.socket.mkdir()
        for directory in (self.directory, self.socket):
            os.chown(directory, owner.st_uid, owner.st_gid)
        with (self.directory / "log").open("wb") as log:
            common = {"stdout": log, "stderr": log, "env": clean_environment(), "cwd": self.directory, **identity}
            made = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--data-checksums", "--username=ifmatch"]
            subprocess.run([self.pg_bin / "initdb", *made, "-D", self.cluster], check=True, **common)
            command = [self.pg_bin / "postgres", "-D", self.cluster, "-k", self.socket, *self._settings()]
            self.process = subprocess.Popen(command, **common)
        self._wait(self.cluster / "postmaster.pid")
        environment = clean_environment() | {"DATABASE_URL": f"postgres:///postgres?host={self.socket}&user=ifmatch"}
        subprocess.run([self.ifmatch.binary, "migrate"], check=True, env=environment, capture_output=True)
        psql(self.pg_bin, self.socket, "-v", f"keys={self.keys}", "-f", ROOT / "benches/pgbench/setup.sql")

    def _settings(self):
        """Those that the private Postgres runs with, but for more connections than the server needs."""
        running = pathlib.Path(f"/proc/{self.ifmatch.postmaster}/cmdline").read_bytes().decode().split("\0")
        settings = [word for word in running if re.fullmatch(r"[a-z_.]+=.*", word)]
        if not any(word.startswith("fsync=on") for word in settings):
            raise Failed(f"the private Postgres does not state fsync=on: {running}")
        settings = [word for word in settings if not word.startswith("max_connections=")] + ["max_connections=400"]
        return [word for setting in settings for word in ("-c", setting)]

    def _wait(self, pid_file):
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError, IndexError):
                if pid_file.read_text().splitlines()[7].strip() == "ready":
                    return
            time.sleep(0.02)
        raise Failed(f"Postgres did not start:\n{(self.directory / 'log').read_text(errors='replace')}")

    def cpu(self):
        return {"postgres": machine.postgres_cpu_seconds(self.process.pid)}

    def run(self, work, connections, span):
        warmup, seconds = span
        span = (warmup + connections * PGBENCH_WARMUP_SECONDS_EACH, seconds)
        for margin in PGBENCH_MARGINS_SECONDS:
            margin += connections * PGBENCH_MARGIN_SECONDS_EACH
            measured = self._run_once(work, connections, span, margin)
            if measured is not None:
                return measured
        raise Failed(f"pgbench {work}, {connections} connections: it never ran for {seconds} s with all of them")

    def _run_once(self, work, connections, span, margin):
        """None where sessions had ended before the span did (connecting takes some of pgbench's time): it was not measured
        whole, and what the ended ones have cost is not known."""
        for old in self.directory.glob("times.*"):
            old.unlink()
        whole = math.ceil(sum(span) + margin)
        command = [self.pg_bin / "pgbench", "-n", "-h", self.socket, "-U", "ifmatch", "-M", "prepared"]
        command += ["-c", connections, "-j", min(connections, 2), "-T", whole, "-D", f"keys={self.keys}"]
        command += ["-l", "--log-prefix", self.directory / "times"]
        command += ["-f", ROOT / f"benches/pgbench/{work}.sql", "postgres"]
        process = subprocess.Popen(
            [str(word) for word in command],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=clean_environment(),
        )
        try:
            # It begins when all are connected.
            while machine.postgres_sessions(self.process.pid) < connections and process.poll() is None:
                time.sleep(0.02)
            time.sleep(span[0])
            begin, cpu_begin = time.time(), self.cpu()
            time.sleep(span[1])
            end, cpu_end = time.time(), self.cpu()
            all_there = machine.postgres_sessions(self.process.pid) >= connections
            said, _ = process.communicate(timeout=PREPARE_SECONDS_MAX)
        finally:
            process.kill()
            process.wait()
        broken = re.search(r"number of failed transactions: [1-9]|aborted", said)
        if process.returncode != 0 or broken:
            raise Failed(f"pgbench {work}, {connections} connections: {said.strip()}")
        if not all_there:
            return None
        finished = self._finished()
        latencies = sorted(micros for when, micros in finished if begin <= when <= end)
        if not latencies:
            raise Failed(f"pgbench {work}, {connections} connections: nothing finished within {span[1]} s")
        return {
            "operations": len(latencies),
            "per_second": len(latencies) / (end - begin),
            **percentiles(latencies),
            "cpu_us": cpu_per_operation(cpu_begin, cpu_end, len(latencies)),
        }

    def _finished(self):
        """All transactions of the last run: when they finished, and after how many microseconds, from pgbench's logs."""
        finished = []
        for log in self.directory.glob("times.*"):
            for line in log.read_text().splitlines():
                _, _, micros, _, second, microsecond = line.split()[:6]
                finished.append((int(second) + int(microsecond) / 1e6, int(micros)))
        return finished

    def stop(self):
        try:
            if self.process is not None:
                self.process.send_signal(signal.SIGINT)  # a fast shutdown, as the server gives its own
                self.process.wait(STOP_SECONDS_MAX)
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)


def percentiles(values):
    """p50, p99 and p99.9 of sorted values, by the nearest rank."""
    def rank(share):
        return values[max(math.ceil(share * len(values)), 1) - 1]

    return {"p50_us": rank(0.5), "p99_us": rank(0.99), "p999_us": rank(0.999), "max_us": values[-1]}


class Etcd:
    """One etcd on loopback, with its defaults, spoken to through its HTTP gateway."""

    name = "etcd"

    def __init__(self, program, load, keys):
        self.program, self.load, self.keys = program, load, keys
        self.directory = temporary_directory("etcd")
        self.process = None

    def start(self):
        self.address, peer = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        command = [self.program, "--name", "bench", "--data-dir", self.directory / "data"]
        for role, address in (("client", self.address), ("peer", peer)):
            command += [f"--listen-{role}-urls", f"http://{address}"]
        command += ["--advertise-client-urls", f"http://{self.address}"]
        command += ["--initial-advertise-peer-urls", f"http://{peer}", "--initial-cluster", f"bench=http://{peer}"]
        log = self.directory / "log"
        with log.open("wb") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=file, env=clean_environment())
        wait_for_answer(f"http://{self.address}/health", self.process, log)

    def cpu(self):
        return {"etcd": machine.cpu_seconds(self.process.pid)}

    def run(self, work, connections, span):
        return load_run(self.load, self.address, f"etcd-{work}", connections, span, self.cpu, {"keys": self.keys})

    def stop(self):
        try:
            if self.process is not None:
                stop_process(self.process)
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)


def median(runs):
    """Field by field, over the rounds."""
    together = {}
    for field, value in runs[0].items():
        values = [run[field] for run in runs]
        together[field] = median(values) if isinstance(value, dict) else statistics.median(values)
    return together
