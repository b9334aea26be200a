#!/usr/bin/env python3
"""Moves money between two accounts exactly once, whichever request or answer gets lost.

    transfer.py URL FROM TO AMOUNT      exit code 0: applied, 1: not applied and never will be, 2: unknown
"""

import http.client
import json
import random
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

ATTEMPTS, FIRST_WAIT, LONGEST_WAIT, ANSWER_WAIT = 12, 0.1, 10, 60  # the waits in seconds
PASSING = {408, 425, 429, 500, 502, 503, 504}


class Unknown(Exception):
    """Nobody could say what became of it."""


def send(method, url, content=None, **headers):
    """Sends a request, unchanged, until the API itself has decided it. Returns the status, the headers and the document."""
    if content is not None:
        headers["Content-Type"] = "application/json"
        content = json.dumps(content).encode()
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    for attempt in range(ATTEMPTS):
        wait = random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2**attempt))  # full jitter: clients spread out
        try:
            try:
                answer = urllib.request.urlopen(
                    urllib.request.Request(url, content, headers, method=method), timeout=ANSWER_WAIT
                )
            except urllib.error.HTTPError as error:
                answer = error
            with answer:
                seconds = answer.headers.get("Retry-After", "")
                wait += int(seconds) if seconds.isdecimal() else 0
                document = json.loads(answer.read() or b"{}")
            # An error that is no problem of the API comes from something in between, and says nothing.
            ours = answer.status < 300 or str(document["type"]).startswith("/problems/")
            if ours and answer.status not in PASSING:
                return answer.status, answer.headers, document
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
            pass  # no answer, or not a whole one: the request may have arrived, or not
        time.sleep(wait)
    raise Unknown(f"no answer to {method} {url}")


def transfer(server, source, target, amount):
    """Returns whether it was applied, and a sentence. What was not applied will never be."""
    _, headers, _ = send("POST", f"{server}/transactions")
    transaction, tag = headers["Location"], headers["ETag"]
    query = urllib.parse.urlencode([("key", f"accounts/{name}") for name in (source, target)])
    reason = None  # to give up
    while True:
        if not reason:  # read, and decide
            _, _, page = send("GET", f"{server}/resources?{query}")
            accounts = {item["key"]: item for item in page.get("items", [])}
            if source not in accounts or target not in accounts:
                reason = page.get("detail", "no such account")
            elif not 0 < amount <= accounts[source]["body"]["balance"]:
                reason = "not enough money"
        if reason:
            status, _, answer = send("DELETE", server + transaction, If_Match="*")
        else:
            changes = [
                {
                    "method": "PATCH",
                    "target": account["href"],
                    "if_match": account["etag"],  # exactly the state that was decided on
                    "body": {"balance": account["body"]["balance"] + change},
                }
                for account, change in ((accounts[source], -amount), (accounts[target], amount))
            ]
            status, _, answer = send("PUT", server + transaction, {"changes": changes}, If_Match=tag)

        if answer.get("type") == "/problems/stale-resource":
            continue  # somebody was faster, and nothing has happened: again, in the same transaction
        # Where the transaction was used before, by a request whose answer got lost, the problem shows it as `current`.
        if answer.get("current", answer).get("state") == "committed":
            return True, f"applied {transaction}"
        if status == 204 or answer.get("type") in ("/problems/transaction-cancelled", "/problems/transaction-expired"):
            return False, f"not applied {transaction}: {reason or answer['detail']}"
        if status == 410 or reason:
            raise Unknown(f"{transaction}: {answer.get('detail')}")
        reason = f"{answer.get('detail')} {answer.get('errors', '')}"  # the request needs mending: give it up


if __name__ == "__main__":
    try:
        server, source, target, amount = sys.argv[1:]
        applied, sentence = transfer(server, source, target, int(amount))
    except Unknown as unknown:
        print(f"unknown: {unknown}")
        sys.exit(2)
    print(sentence)
    sys.exit(0 if applied else 1)
