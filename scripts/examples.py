#!/usr/bin/env python3
"""Runs the programs of examples/ under fire, and holds what they say against what has happened.

    scripts/examples.py                    all of them, against a server of its own
    scripts/examples.py python java        some of them
    scripts/examples.py --prove            wrong programs instead, each of which must be noticed

Each program makes transfers, several at once, through a proxy that loses and invents answers (fire.py), while a
competitor moves money between the same accounts. Afterwards: the total is what it was; each transfer that was reported
as applied has been applied, once; no other has.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import fire
import server

ROOT = server.ROOT
EXAMPLES = ROOT / "examples"
LANGUAGES = ["curl", "python", "typescript", "rust", "java"]
TRANSFERS = 20  # of each example
AT_ONCE = 3  # of each example
ACCOUNTS, BALANCE, TOO_MUCH = 3, 1000, 1_000_000
COMPETITOR_REQUESTS = 6  # of the example, on average, between two writes of its competitor
PROGRAM_SECONDS_MAX = 240


class Wrong(Exception):
    """An example did something else than it should, or said so."""


def check(condition, message):
    if not condition:
        raise Wrong(message)


def run(*command, **options):
    return subprocess.run([str(part) for part in command], cwd=ROOT, check=True, text=True, **options)


# -- The programs ---------------------------------------------------------------------------------------------------


def build(languages):
    """Installs what is missing, checks and compiles. Returns the command of each language, without arguments."""
    purposes = {"curl": "shell", "python": "python", "typescript": "node", "rust": "build", "java": "java"}
    run("scripts/install.sh", *sorted({purposes[language] for language in languages}))
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    commands = {}
    if {"typescript", "java"} & set(languages):
        tools = pathlib.Path(run("scripts/tools.sh", "tools/examples", stdout=subprocess.PIPE).stdout.strip())
    for language in languages:
        if language == "curl":
            missing = [tool for tool in ("curl", "jq") if not shutil.which(tool)]
            if missing:
                raise SystemExit(f"missing: {' and '.join(missing)}; on Debian: apt-get install {' '.join(missing)}")
            commands[language] = [EXAMPLES / "curl/transfer.sh"]
        elif language == "python":
            commands[language] = [sys.executable, EXAMPLES / "python/transfer.py"]
        elif language == "typescript":
            source, types = EXAMPLES / "typescript/transfer.mts", tools / "node_modules/@types"
            strict = "--strict --noUncheckedIndexedAccess --exactOptionalPropertyTypes --noUnusedLocals --noEmit".split()
            options = [*strict, "--target", "es2024", "--module", "nodenext", "--types", "node", "--typeRoots", types]
            run(tools / "node_modules/.bin/tsc", *options, source)
            commands[language] = [tools / "node_modules/.bin/node", source]
        elif language == "rust":
            run("cargo", "build", "--quiet", "--locked", "--example", "transfer")
            commands[language] = [target / "debug/examples/transfer"]
        elif language == "java":
            (jar,) = tools.glob("lib/python*/site-packages/openapi_generator_cli/*.jar")
            classes = target / "examples/java"
            # What `java Transfer.java` does first; done once, it need not be done for every transfer.
            run("javac", "-Xlint:all,-serial", "-Werror", "-cp", jar, "-d", classes, EXAMPLES / "java/Transfer.java")
            quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
            commands[language] = ["java", *quick, "-cp", f"{classes}{os.pathsep}{jar}", "Transfer"]
    return commands


# -- The server, as the competitor and the audit see it ---------------------------------------------------------------


def send(url, method="GET", content=None, **fields):
    """Straight to the server, where nothing gets lost. Returns status, fields, document."""
    fields = {name.replace("_", "-"): value for name, value in fields.items()} | {"Content-Type": "application/json"}
    content = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(url, content, fields, method=method)
    try:
        answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.headers, json.loads(answer.read() or b"null")


def items(url, path):
    """All items of a list."""
    while path:
        _, _, page = send(url + path)
        yield from page["items"]
        path = page["next"]


class Competitor(threading.Thread):
    """Moves money between the accounts until it is told to stop, as fast as the requests of the example come in."""

    def __init__(self, url, names, flames, seed):
        super().__init__(daemon=True)
        self.url, self.names, self.flames, self.random = url, names, flames, random.Random(seed)
        self.applied, self.enough, self.failure = set(), threading.Event(), None

    def run(self):
        try:
            due = 0
            while not self.enough.wait(0.01):
                if self.flames.requests() < due:
                    continue
                due = self.flames.requests() + self.random.expovariate(1 / COMPETITOR_REQUESTS)
                source, target = (f"{self.url}/resources/accounts/{name}" for name in self.random.sample(self.names, 2))
                changes = []
                for account, change in ((source, -1), (target, 1)):
                    _, fields, body = send(account)
                    body["balance"] += change
                    path = account.removeprefix(self.url)
                    changes.append({"method": "PUT", "target": path, "if_match": fields["ETag"], "body": body})
                _, opened, _ = send(f"{self.url}/transactions", "POST")
                location = opened["Location"]
                status, _, _ = send(self.url + location, "PUT", {"changes": changes}, If_Match=opened["ETag"])
                check(status in (200, 412), f"the competitor was answered {status}")
                if status == 200:
                    self.applied.add(location)
        except Exception as failure:
            self.failure = failure


# -- One example ------------------------------------------------------------------------------------------------------

Transfer = collections.namedtuple("Transfer", "source target amount")
Report = collections.namedtuple("Report", "transfer status text transaction")


def execute(command, url, transfer):
    """One transfer by one process. What it reports."""
    environment = os.environ | {"no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [str(part) for part in (*command, url, *transfer)],
        capture_output=True,
        text=True,
        timeout=PROGRAM_SECONDS_MAX,
        env=environment,
        check=False,
    )
    text = done.stdout.strip()
    line = re.fullmatch(r"(applied|not applied) (/transactions/[0-9a-f-]{36})(: .+)?", text)
    expected = line and {"applied": 0, "not applied": 1}[line[1]]
    check(line and done.returncode == expected, f"{transfer}: exit {done.returncode}: {text}\n{done.stderr}")
    return Report(transfer, done.returncode, text, line[2])


def audit(url, names, opening, competitor, reports):
    """Holds what the program said against what the server has recorded."""
    targets = {f"/resources/accounts/{name}" for name in names}
    applied = {}
    for item in items(url, "/transactions?state=committed&limit=1000"):
        _, _, transaction = send(url + item["links"]["self"])
        if targets & {change["target"] for change in transaction["changes"]}:
            applied[item["links"]["self"]] = transaction
    reported = collections.Counter(report.transaction for report in reports if report.status == 0)
    ours = set(applied) - competitor.applied - {opening}
    check(ours == set(reported), f"reported, not applied: {set(reported) - ours}; not reported: {ours - set(reported)}")
    check(all(count == 1 for count in reported.values()), f"two transfers in one transaction: {reported}")

    balances = {  # every state there has ever been
        (change["target"], outcome["etag"]): change["body"]["balance"]
        for transaction in applied.values()
        for change, outcome in zip(transaction["changes"], transaction["outcome"]["changes"], strict=True)
    }
    for report in reports:
        if report.status == 0:
            moved = {}
            for change in applied[report.transaction]["changes"]:
                before = balances.get((change["target"], change["if_match"]))
                check(before is not None, f"{report.transfer} was applied to whatever was there: {change}")
                moved[change["target"].rpartition("/")[2]] = change["body"]["balance"] - before
            source, target, amount = report.transfer
            check(moved == {source: -amount, target: amount}, f"{report.transfer} has moved {moved}")
        else:
            status, _, problem = send(url + report.transaction)
            kind = problem.get("type")
            check((status, kind) == (410, "/problems/transaction-cancelled"), f"{report.text}, but: {status} {kind}")
        refused = report.status == 1
        check(refused == (report.transfer.amount == TOO_MUCH), f"{report.transfer}: {report.text}")
    total = sum(send(url + target)[2]["balance"] for target in targets)
    check(total == ACCOUNTS * BALANCE, f"{ACCOUNTS * BALANCE} have become {total}")


def burn(language, command, url, seed):
    """The transfers of one example. A line that says what it went through."""
    began, names = time.monotonic(), [f"{language}-{number}" for number in range(ACCOUNTS)]
    changes = [
        {"method": "PUT", "target": f"/resources/accounts/{name}", "if_none_match": "*", "body": {"balance": BALANCE}}
        for name in names
    ]
    _, opened, _ = send(f"{url}/transactions", "POST")
    status, _, _ = send(url + opened["Location"], "PUT", {"changes": changes}, If_Match=opened["ETag"])
    check(status == 200, f"the accounts of {language}: {status}")

    chance = random.Random(f"{language} {seed}")
    transfers = [Transfer(*chance.sample(names, 2), number + 1) for number in range(TRANSFERS)]
    for number in range(0, TRANSFERS, 8):
        transfers[number] = transfers[number]._replace(amount=TOO_MUCH)
    with fire.Fire(url, f"{language} {seed}") as flames:
        competitor = Competitor(url, names, flames, f"{language} {seed}")
        competitor.start()
        try:
            with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
                reports = list(pool.map(lambda transfer: execute(command, flames.url, transfer), transfers))
        finally:
            competitor.enough.set()
            competitor.join()
    if competitor.failure:
        raise competitor.failure
    audit(url, names, opened["Location"], competitor, reports)

    missed = [fault for fault in fire.FAULTS if not flames.faults["PUT", fault]]
    check(not missed, f"too few requests: no PUT met {missed}")
    check(flames.answers["stale-resource"] and flames.answers["replayed"], f"too easy: {flames.answers}")
    check(not flames.impatient, f"came again before Retry-After: {flames.impatient[:1]}")
    faults = sum(count for (_, fault), count in flames.faults.items() if fault != fire.PASS)
    return (
        f"{language:<12}{sum(report.status == 0 for report in reports)} transfers applied, each once;"
        f" {faults} faults in {flames.requests()} requests, too late (412) {flames.answers['stale-resource']} times,"
        f" {len(competitor.applied)} writes of the competitor ({time.monotonic() - began:.1f} s)"
    )


# -- Programs that are wrong ------------------------------------------------------------------------------------------

# What takes the place of what in examples/python/transfer.py. Each must be noticed.
PLANTED = {
    "new-context": (  # no answer? The next attempt uses a transaction of its own
        "for attempt in range(ATTEMPTS):\n",
        """for attempt in range(ATTEMPTS):
        if attempt and method == "PUT":
            transactions = url.rpartition("/")[0]
            _, opened, _ = send("POST", transactions)
            url, headers["If-Match"] = transactions + "/" + opened["Location"].rpartition("/")[2], opened["ETag"]
""",
    ),
    "any-state": ('"if_match": account["etag"]', '"if_match": "*"'),
    "stale-is-done": ("continue  # somebody", 'return True, f"applied {transaction}"  # somebody'),
    "no-delete": ('send("DELETE", server + transaction, If_Match="*")', "204, {}, {}"),
    "one-attempt": ("ATTEMPTS, FIRST_WAIT, LONGEST_WAIT, ANSWER_WAIT = 12", "ATTEMPTS, FIRST_WAIT, LONGEST_WAIT, ANSWER_WAIT = 1"),
    "impatient": ("wait += int(seconds) if", "wait += 0 if"),
}


def prove(url, seed):
    """Runs the wrong programs. Whether all of them were noticed."""
    text, missed = (EXAMPLES / "python/transfer.py").read_text(encoding="utf-8"), 0
    with tempfile.TemporaryDirectory() as directory:

        def noticed(name):
            piece, instead = PLANTED[name]
            if text.count(piece) != 1:
                raise SystemExit(f"examples/python/transfer.py holds this not once: {piece}")
            program = pathlib.Path(directory) / f"{name}.py"
            program.write_text(text.replace(piece, instead), encoding="utf-8")
            try:
                burn(name, [sys.executable, program], url, seed)
            except Wrong as wrong:
                return str(wrong)
            return None

        with concurrent.futures.ThreadPoolExecutor(len(PLANTED)) as pool:
            for name, wrong in zip(PLANTED, pool.map(noticed, PLANTED), strict=True):
                missed += wrong is None
                print(f"{name:<14}{'NOT NOTICED' if wrong is None else 'noticed: ' + wrong.splitlines()[0][:140]}", flush=True)
    return missed == 0


def try_all(url, seed, commands):
    """Runs the examples, side by side. Whether all of them are right."""
    right = True
    with concurrent.futures.ThreadPoolExecutor(len(commands)) as pool:
        runs = {pool.submit(burn, name, command, url, seed): name for name, command in commands.items()}
        for done in concurrent.futures.as_completed(runs):
            try:
                print(done.result(), flush=True)
            except Wrong as wrong:
                right = False
                print(f"{runs[done]:<12}WRONG: {wrong}", flush=True)
    return right


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("languages", nargs="*", metavar="language", help=", ".join(LANGUAGES))
    parser.add_argument("--binary", default=server.default_binary(), help="the server to start (%(default)s)")
    parser.add_argument("--seed", default="1", help="what happens to which request (%(default)s)")
    parser.add_argument("--prove", action="store_true", help="run wrong programs, which must be noticed")
    arguments = parser.parse_args()
    unknown = set(arguments.languages) - set(LANGUAGES)
    if unknown:
        parser.error(f"no example in {', '.join(sorted(unknown))}")
    commands = {} if arguments.prove else build(arguments.languages or LANGUAGES)
    with server.Server(arguments.binary) as started:
        if arguments.prove:
            right = prove(started.url, arguments.seed)
        else:
            right = try_all(started.url, arguments.seed, commands)
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
