#!/usr/bin/env python3
"""Sends requests that openapi.yaml allows, and others, to a server, and checks every answer (schemathesis, all checks).

    scripts/schemathesis.py                        the run of `make test`: always the same requests
    scripts/schemathesis.py --examples 500         longer, other requests each time; the seed is printed
    scripts/schemathesis.py --examples 500 --seed 7

What is expected of which answer is in schemathesis.toml, the exact forms of values in tools/schemathesis/hooks.py.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import urllib.parse
import urllib.request

from server import ROOT, Server, default_binary

SEED = 1
OPEN = 20  # transactions to begin with: each can be finished once
EXAMPLES = 6  # of each operation: what a debug server answers within a minute


def call(method, url, body=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers}, method=method)
    with urllib.request.urlopen(request) as response:
        return response.headers, response.read()


def prepare(url):
    """Something to find: resources, a schema, transactions, and a cursor of each list."""
    for path in ("accounts/alice", "accounts/bob", "limits/daily"):
        call("PUT", f"{url}/resources/{path}", {"balance": 100}, If_None_Match="*")
    call("PUT", f"{url}/resources/accounts/alice", {"balance": 100}, If_Match="*")
    call("PUT", f"{url}/schemas/accounts", {}, If_None_Match="*")
    opened = [call("POST", f"{url}/transactions")[0] for _ in range(OPEN)]
    assertion = {"method": "GET", "target": "/resources/accounts/alice", "if_match": "*"}
    done = call("POST", f"{url}/transactions")[0]
    call("PUT", url + done["Location"], {"changes": [assertion]}, If_Match=done["ETag"])
    cursors = {}
    lists = ("/resources", "/resources/{collection}", "/resources/{collection}/{key}/versions", "/transactions")
    for template in lists:
        page = json.loads(call("GET", url + template.format(collection="accounts", key="alice") + "?limit=1")[1])
        cursors[template] = urllib.parse.parse_qs(urllib.parse.urlsplit(page["next"]).query)["after"][0]
    ids = [headers["Location"].rsplit("/", 1)[1] for headers in [*opened, done]]
    return {"url": url, "ids": ids, "cursors": cursors}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=default_binary(), help="the server's program")
    parser.add_argument("--examples", type=int, help="random requests of each operation and phase")
    parser.add_argument("--seed", type=int, help="the same seed makes the same requests")
    parser.add_argument("rest", nargs="*", help="more arguments for schemathesis, after --")
    arguments = parser.parse_args()
    seed = arguments.seed
    if seed is None:
        seed = SEED if arguments.examples is None else random.randrange(2**32)
    tools = subprocess.check_output([ROOT / "scripts/tools.sh", "tools/schemathesis"], text=True).strip()
    with Server(arguments.binary) as server:
        environment = {**os.environ, "IFMATCH_PREPARED": json.dumps(prepare(server.url)), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [f"{tools}/bin/schemathesis", "--config-file", "schemathesis.toml", "run", "openapi.yaml"]
        command += ["--url", server.url, "--seed", str(seed), "--max-examples", str(arguments.examples or EXAMPLES)]
        status = subprocess.run([*command, *arguments.rest], cwd=ROOT, env=environment).returncode
    print(f"schemathesis: seed {seed}, exit code {status}")
    return status


if __name__ == "__main__":
    sys.exit(main())
