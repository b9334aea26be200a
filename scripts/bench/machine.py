"""What the machine is, what processes have cost, and how fast the disk flushes. Linux only: it reads /proc."""

import contextlib
import os
import pathlib
import platform
import re
import subprocess
import tempfile


def cpu_seconds(pid):
    """CPU time of a process that runs: all its threads, to the nanosecond. 0 where it has just ended."""
    total = 0
    try:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return total / 1e9


def postgres_cpu_seconds(pid):
    """CPU time of a postmaster and the children that it has now, but for workers of autovacuum: those work off, at some
    time, what other runs have left. Sessions do not end while they are measured, so none is missed."""
    return cpu_seconds(pid) + sum(
        cpu_seconds(child) for child, title in children(pid) if b"autovacuum worker" not in title
    )


def postgres_sessions(pid):
    """How many clients a Postgres serves: its other children come and go."""
    return sum(b"[local]" in title for _, title in children(pid))


def children(pid):
    """The id and title of each child."""
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            yield child, pathlib.Path(f"/proc/{child}/cmdline").read_bytes()


def peak_memory_reset(pid):
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_memory_mib(pid):
    """The most memory that was resident since the last reset."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)[1]) / 1024


def cpu_times():
    """User, nice, system, idle, I/O wait, interrupts, soft interrupts and stolen time of the whole machine."""
    return [int(word) for word in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]


def stolen_percent(before, after):
    spent = [late - early for early, late in zip(before, after)]
    return 100 * spent[7] / max(sum(spent), 1)


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def facts(pg_bin, etcd, binary):
    """What a reader must know of machine and versions."""
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.MULTILINE)
    system = re.search(r'^PRETTY_NAME="?([^"\n]+)', pathlib.Path("/etc/os-release").read_text(), re.MULTILINE)
    described = ["git", "-C", pathlib.Path(__file__).parent, "describe", "--always", "--dirty", "--match", "-"]
    commit = subprocess.run(described, capture_output=True, text=True).stdout.strip()
    return {
        "cores": os.cpu_count(),
        "cpu": model[1] if model else platform.machine(),
        "memory_gib": round(int(memory[1]) / 2**20, 1),
        "kernel": platform.release(),
        "system": system[1] if system else platform.system(),
        "file_system": output("stat", "-f", "-c", "%T", tempfile.gettempdir()),
        "fdatasync_us": fdatasync_micros(pg_bin),
        "postgres": output(pg_bin / "postgres", "--version"),
        "pgbench": output(pg_bin / "pgbench", "--version"),
        "etcd": output(etcd, "--version").splitlines()[0] if etcd else None,
        "ifmatch": output(binary, "--version"),
        "commit": commit or None,
    }


def fdatasync_micros(pg_bin):
    """How long one 8 kB write takes to reach the disk, by pg_test_fsync, which is not asked for more than that."""
    with tempfile.TemporaryDirectory(prefix="ifmatch-bench-") as directory:
        command = [pg_bin / "pg_test_fsync", "-s", "1", "-f", pathlib.Path(directory) / "fsync"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                found = re.match(r"\s+fdatasync\s+[\d.]+ ops/sec\s+(\d+) usecs/op", line)
                if found:
                    process.terminate()
                    return int(found[1])
    raise SystemExit("pg_test_fsync said nothing of fdatasync")
