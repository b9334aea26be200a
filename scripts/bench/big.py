"""Many resources and many finished transactions: does the rate hold, and does the server still start at once?"""

import contextlib
import http.client
import json
import os
import subprocess
import tempfile
import threading
import time

from bench.contestants import ROOT, Failed, Ifmatch, clean_environment, median

CONNECTIONS = 64
STARTS = 3
# What one resource with its version and transaction takes on disk, and what the log takes beside them.
BYTES_EACH = 1100
BYTES_BESIDE = 12 * 2**30
# Transactions are younger than the retention of 30 days, and not of the future.
BEGIN_MILLIS_AGO = 20 * 86_400_000
SPAN_MILLIS = 19 * 86_400_000
# Two at a time: the tables of one line are filled one after the other.
LINES = (("resources", "versions"), ("transactions",))


def count_that_fits(wanted):
    """As many as the disk holds."""
    disk = os.statvfs(tempfile.gettempdir())
    fits = max(disk.f_bavail * disk.f_frsize - BYTES_BESIDE, 0) // BYTES_EACH
    return min(wanted, fits)


def measure(binary, load, count, keys, rounds, span, say):
    """A server with `count` of everything beside one with `keys`, both generated in the same way."""
    with contextlib.ExitStack() as stack:
        servers = {}
        for name, size in (("small", keys), ("big", count)):
            servers[name] = Ifmatch(binary, load)
            stack.callback(servers[name].stop)
            servers[name].start()
            begin = time.monotonic()
            fill(servers[name], size)
            check(servers[name], size)
            say(f"{name}: {size:,} resources, versions and transactions generated in {time.monotonic() - begin:.0f} s")
        starts = {name: start_times(server, say, name) for name, server in servers.items()}
        runs = {"small": [], "part": [], "all": []}
        for number in range(rounds):
            for name, run in runs.items():
                server = servers["small" if name == "small" else "big"]
                run.append(server.run("put", CONNECTIONS, span, **selection(name, number, count, keys, rounds)))
                say(f"round {number + 1}  one change, {name}: {run[-1]['per_second']:,.0f}/s")
        return {
            "count": count,
            "keys": keys,
            "connections": CONNECTIONS,
            "disk_gib": directory_bytes(servers["big"].directory) / 2**30,
            "start_seconds": starts,
            "runs": {name: {"median": median(run), "rounds": run} for name, run in runs.items()},
        }


def selection(name, number, count, keys, rounds):
    """`all`: resources from everywhere, in each round others, so that their tags are known without reading them."""
    if name != "all":
        return {"keys": keys}
    return {"keys": (count - keys) // rounds, "stride": rounds, "offset": keys + number, "generated": True}


def fill(server, count):
    """Rows of the same form as the server writes, frozen, so that no vacuum runs while it is measured."""
    bucket, tenant = server.psql("-c", "SELECT bucket, tenant FROM tenants").split("|")
    begin_millis = int(time.time() * 1000) - BEGIN_MILLIS_AGO
    values = {"bucket": bucket, "tenant": tenant, "count": count, "begin_millis": begin_millis, "span_millis": SPAN_MILLIS}
    faults = []

    def fill_line(tables):
        try:
            for table in tables:
                fill_table(server, table, values)
        except Failed as failed:
            faults.append(failed)

    threads = [threading.Thread(target=fill_line, args=(tables,)) for tables in LINES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    server.psql("-c", f"UPDATE buckets SET last_commit = {count} WHERE bucket = {bucket}")
    server.psql("-c", "VACUUM (ANALYZE) resources, versions, transactions", "-c", "CHECKPOINT")


def fill_table(server, table, values):
    """One session writes the rows into a pipe and another reads them: rows that COPY brings into an empty table can be
    frozen at once."""
    pipe = server.directory / f"{table}.pipe"
    os.mkfifo(pipe)
    pipe.chmod(0o666)  # Postgres may be another user
    psql = [server.pg_bin / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", server.socket, "-U", "ifmatch"]
    psql += ["-d", "postgres"]
    named = [word for name, value in {**values, "pipe": pipe}.items() for word in ("-v", f"{name}={value}")]
    copy = f"COPY {table} FROM '{pipe}' (FREEZE, FORMAT binary)"
    commands = [[*psql, *named, "-f", ROOT / f"benches/big/{table}.sql"], [*psql, "-1", "-c", f"TRUNCATE {table}", "-c", copy]]
    with tempfile.TemporaryFile("w+") as said:
        sessions = [subprocess.Popen(command, env=clean_environment(), stderr=said) for command in commands]
        # One alone would wait for the other for ever.
        while None in (states := [session.poll() for session in sessions]) and not any(states):
            time.sleep(0.05)
        for session in sessions:
            session.kill()
            session.wait()
        if any(states):
            said.seek(0)
            raise Failed(f"generating {table}: {said.read().strip()}")
    pipe.unlink()


def check(server, count):
    """What was generated is what the server would have written: it serves a resource, and knows a retry for one."""
    number = count // 2
    target = f"/resources/accounts/k{number:07}"
    connection = http.client.HTTPConnection(server.address, timeout=60)
    answer, content = request(connection, "GET", target)
    tag = answer.headers["ETag"]
    if (answer.status, tag, content) != (200, f'"1.{number:016x}"', b'{"balance":1001}'):
        raise Failed(f"GET {target}: {answer.status} {tag} {content!r}")
    # Link: </transactions/{id}>; rel="via"
    transaction = answer.headers["Link"].partition("</transactions/")[2].partition(">")[0]
    change = {"method": "PUT", "target": target, "if_none_match": "*", "body": {"balance": 1001}}
    content = json.dumps({"changes": [change]})
    headers = {"If-Match": "*", "Content-Type": "application/json"}
    answer, content = request(connection, "PUT", f"/transactions/{transaction}", content, headers)
    if answer.status != 200 or answer.headers["Idempotent-Replayed"] != "true":
        raise Failed(f"a retry of a generated transaction: {answer.status} {content!r}")


def request(connection, method, target, content=None, headers=None):
    connection.request(method, target, content, headers or {})
    answer = connection.getresponse()
    return answer, answer.read()


def start_times(server, say, name):
    """Seconds from exec to the first answer to a GET of a resource, each after an orderly stop."""
    seconds = []
    for _ in range(STARTS):
        server.halt()
        seconds.append(server.start("/resources/accounts/k0000000"))
    say(f"{name}: started in {', '.join(f'{value:.2f} s' for value in seconds)}")
    return seconds


def directory_bytes(directory):
    total = 0
    for place, _, files in os.walk(directory):
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(place, file)).st_size
    return total
