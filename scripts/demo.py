#!/usr/bin/env python3
"""Loads three of Debian's data sets, moves money with two competing clients, loses answers on purpose.

    scripts/demo.py                   starts a server of its own, with a temporary data directory
    scripts/demo.py --url URL         uses the server at URL, which must be empty

Only the standard library is used; `Client` is all that a client of this server needs. Every answer is compared
with what the server promises: the first difference ends the demo with exit code 1.
"""

import argparse
import http.client
import json
import os
import pathlib
import select
import socket
import sys
import threading
import time
import urllib.parse

import server

ISO_CODES = pathlib.Path(os.environ.get("ISO_CODES_DIR", "/usr/share/iso-codes/json"))
COLLECTIONS = {"countries": "iso_3166-1", "currencies": "iso_4217", "languages": "iso_639-3"}
CHANGES_MAX = 1000  # of one transaction
TRANSFERS = 100  # of each of the two clients
BALANCE = 1000  # of each of the two accounts, at first
ANSWER_SECONDS_MAX = 60
ALICE, BOB = "/resources/accounts/alice", "/resources/accounts/bob"


class Mismatch(Exception):
    """The server answered something else than promised."""


def check(condition, message):
    if not condition:
        raise Mismatch(message)


class Answer:
    def __init__(self, request, status, headers, content):
        self.request, self.status, self.headers, self.content = request, status, headers, content

    def __getitem__(self, header):
        """A header that must be there."""
        check(header in self.headers, f"{self.request}: {self.status} without {header}")
        return self.headers[header]

    def json(self):
        return json.loads(self.content)

    def expect(self, status, problem=None):
        """Checks the status, and for a refusal the type of the problem. Returns the answer."""
        check(self.status == status, f"{self.request}: {self.status} instead of {status}\n{self.content.decode()}")
        if problem:
            check(self["content-type"] == "application/problem+json", f"{self.request}: {self['content-type']}")
            check(self["cache-control"] == "no-store", f"{self.request}: a problem that caches may keep")
            check(self.json()["type"] == f"/problems/{problem}", f"{self.request}: {self.json()['type']}, not {problem}")
            check(self.json()["status"] == status, f"{self.request}: status {self.json()['status']} in the body")
        return self


class Client:
    """One connection, kept alive."""

    def __init__(self, url):
        self.address = urllib.parse.urlsplit(url).netloc
        self.connection = http.client.HTTPConnection(self.address, timeout=ANSWER_SECONDS_MAX)

    def send(self, method, path, content=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if content is not None:
            headers["Content-Type"] = "application/json"
        self.connection.request(method, path, content, headers)
        answer = self.connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(f"{method} {path}", answer.status, names, answer.read())

    def open_transaction(self):
        """Step 1 of the recipe: a context, in which at most one operation will ever be applied. Its path and tag."""
        answer = self.send("POST", "/transactions").expect(201)
        check(answer.json()["etag"] == answer["etag"], "the tag in the body is not the tag in the header")
        return answer["location"], answer["etag"]

    def account(self, path):
        """Step 2: the state that the decision depends on, and its tag."""
        answer = self.send("GET", path).expect(200)
        return answer.json()["balance"], answer["etag"]

    def apply(self, transaction, tag, changes):
        """Step 3: all of the changes or none, once."""
        return self.send("PUT", transaction, operation(changes), If_Match=tag)


def operation(changes):
    return json.dumps({"changes": changes}).encode()


def transfer(source, target, amount):
    """The changes that move `amount`; `source` and `target` are each (path, balance, tag)."""
    return [
        {"method": "PUT", "target": path, "if_match": tag, "body": {"balance": balance + change}}
        for (path, balance, tag), change in ((source, -amount), (target, amount))
    ]


def report(topic, text, since=None):
    seconds = "" if since is None else f" ({time.monotonic() - since:.1f} s)"
    print(f"{topic:<10}{text}{seconds}", flush=True)


def documents():
    """Each document's path and the very bytes that will be sent: flags and accents unescaped, white space as it is."""
    for collection, file in COLLECTIONS.items():
        content = json.loads((ISO_CODES / f"{file}.json").read_text(encoding="utf-8"))
        for record in next(iter(content.values())):
            text = json.dumps(record, ensure_ascii=False, indent=1)
            yield f"/resources/{collection}/{record['alpha_3']}", text.encode()


def load(client):
    """Creates all documents, up to 1,000 in one transaction. Returns their bytes and tags by path."""
    began, sent, tags, transactions = time.monotonic(), dict(documents()), {}, 0
    paths = list(sent)
    for start in range(0, len(paths), CHANGES_MAX):
        batch = paths[start : start + CHANGES_MAX]
        changes = (
            b'{"method": "PUT", "target": "%s", "if_none_match": "*", "body": %s}' % (path.encode(), sent[path])
            for path in batch
        )
        location, tag = client.open_transaction()
        answer = client.send("PUT", location, b'{"changes": [%s]}' % b",".join(changes), If_Match=tag)
        if answer.status == 412:
            raise Mismatch("some of the documents exist already: the demo needs an empty server")
        outcome = answer.expect(200).json()
        check(outcome["state"] == "committed", f"{location} is {outcome['state']}")
        for path, change in zip(batch, outcome["outcome"]["changes"], strict=True):
            check(change["target"] == path and change["status"] == 201, f"{path}: {change}")
            tags[path] = change["etag"]
        transactions += 1
    report("load", f"{len(sent):,} documents created by {transactions} transactions", began)
    return sent, tags


def read_back(client, sent, tags):
    began = time.monotonic()
    for path, content in sent.items():
        answer = client.send("GET", path).expect(200)
        check(answer.content == content, f"{path}: {answer.content} came back for {content}")
        check(answer["etag"] == tags[path], f"{path}: not the tag of the transaction's outcome")
        check(answer["content-type"] == "application/json", f"{path}: {answer['content-type']}")
        check(answer["cache-control"] == "private, no-cache, no-transform", f"{path}: {answer['cache-control']}")
        check("last-modified" in answer.headers and 'rel="via"' in answer["link"], f"{path}: {answer.headers}")
    unchanged = client.send("GET", path, If_None_Match=tags[path]).expect(304)
    check(unchanged["etag"] == tags[path] and unchanged.content == b"", f"{path}: not a 304 as it should be")
    report("read", f"{len(sent):,} documents are what was sent, byte for byte", began)


def pages(client, sent):
    """Follows a collection's `next` links to the end."""
    began, seen, page = time.monotonic(), [], "/resources/languages?limit=1000"
    while page:
        answer = client.send("GET", page).expect(200).json()
        seen += [item["href"] for item in answer["items"]]
        page = answer["next"]
    expected = sorted(path for path in sent if path.startswith("/resources/languages/"))
    check(seen == expected, "the pages of /resources/languages are not its documents in order")
    report("list", f"{len(seen):,} languages, in order, page by page", began)


def open_accounts(client):
    for path in (ALICE, BOB):
        content = json.dumps({"balance": BALANCE}).encode()
        answer = client.send("PUT", path, content, If_None_Match="*").expect(201)
        check(answer["location"] == path and answer["etag"], f"{path}: {answer.headers}")
    client.send("PUT", ALICE, b'{"balance": 0}').expect(428, "precondition-required")
    client.send("PUT", ALICE, b'{"balance": 0}', If_None_Match="*").expect(412, "stale-resource")
    report("rule", "a write that names no state is refused (428), one that names a wrong state too (412)")


def competitor(url, source, target, both_have_read, refusals, failures):
    """Makes transfers by the recipe and counts how often it was too late."""
    try:
        client, refused = Client(url), 0
        for number in range(TRANSFERS):
            location, tag = client.open_transaction()
            while True:
                accounts = [(path, *client.account(path)) for path in (source, target)]
                if number == 0 and not refused:
                    both_have_read.wait(ANSWER_SECONDS_MAX)  # so that one of the two is certainly too late
                answer = client.apply(location, tag, transfer(*accounts, amount=1 + number % 7))
                if answer.status != 412:
                    break
                conflicts = answer.expect(412, "stale-resource").json()["conflicts"]
                check(conflicts and all(c["current"] and c["transaction"] for c in conflicts), f"{conflicts}")
                refused += 1
            check(answer.expect(200).json()["state"] == "committed", f"{location}: {answer.json()}")
        refusals.append(refused)
    except Exception as failure:
        both_have_read.abort()
        failures.append(failure)


def compete(client, url):
    began, refusals, failures, snapshots = time.monotonic(), [], [], 0
    both_have_read = threading.Barrier(2)
    threads = [
        threading.Thread(target=competitor, args=(url, *direction, both_have_read, refusals, failures))
        for direction in ((ALICE, BOB), (BOB, ALICE))
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        items = client.send("GET", "/resources?key=accounts/alice&key=accounts/bob").expect(200).json()["items"]
        total = sum(item["body"]["balance"] for item in items)
        check(total == 2 * BALANCE, f"the two accounts hold {total}: {items}")
        snapshots += 1
    for failure in failures:
        raise failure
    check(sum(refusals) >= 1, "two clients decided on the same state, and neither was refused")
    balances = [client.account(path)[0] for path in (ALICE, BOB)]
    check(balances == [BALANCE, BALANCE], f"equal transfers in both directions, and yet {balances}")
    applied = f"{2 * TRANSFERS} transfers by 2 clients, each applied once"
    report("compete", f"{applied}; too late (412), read again: {' and '.join(map(str, refusals))} times", began)
    report("", f"the total was {2 * BALANCE:,} in each of {snapshots:,} snapshots meanwhile")


def send_and_hang_up(client, transaction, tag, content, *, once_answered):
    """Sends the PUT and closes the connection without having read one byte of the answer."""
    host, port = client.address.rsplit(":", 1)
    head = f"PUT {transaction} HTTP/1.1\r\nHost: {client.address}\r\nIf-Match: {tag}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    with socket.create_connection((host, int(port)), ANSWER_SECONDS_MAX) as raw:
        raw.sendall(head.encode() + content)
        if once_answered:
            answered, _, _ = select.select([raw], [], [], ANSWER_SECONDS_MAX)
            check(answered, f"PUT {transaction}: no answer in {ANSWER_SECONDS_MAX} s")


def lose_answer(client, *, once_answered):
    """A transfer of 10 whose answer gets lost. Repeats it; returns whether the first had been applied."""
    location, tag = client.open_transaction()
    (alice, alice_tag), (bob, bob_tag) = client.account(ALICE), client.account(BOB)
    changes = transfer((ALICE, alice, alice_tag), (BOB, bob, bob_tag), amount=10)
    send_and_hang_up(client, location, tag, operation(changes), once_answered=once_answered)

    repeated = client.apply(location, tag, changes).expect(200)
    replayed = repeated.headers.get("idempotent-replayed") == "true"
    again = client.apply(location, tag, changes).expect(200)
    check(again["idempotent-replayed"] == "true", f"{location}: {again.headers}")
    check(again.json() == repeated.json(), f"{location}: two answers to one request")
    now = client.account(ALICE)[0], client.account(BOB)[0]
    check(now == (alice - 10, bob + 10), f"{alice} and {bob} have become {now}: the money did not move once")

    other = transfer((ALICE, now[0], "*"), (BOB, now[1], "*"), amount=20)
    refused = client.apply(location, tag, other).expect(412, "stale-transaction")
    check(refused.json()["current"]["state"] == "committed", f"{location}: {refused.json()}")
    client.send("DELETE", location, If_Match="*").expect(409, "transaction-finished")
    return replayed


def lose_answers(client):
    check(lose_answer(client, once_answered=True), "the first was applied, but the repetition does not say so")
    report("lost", "answer lost; request repeated: Idempotent-Replayed: true, and the money moved once")
    replayed = lose_answer(client, once_answered=False)
    report("", f"hung up at once; the first had{'' if replayed else ' not'} been applied, and the money moved once")
    report("", "another operation in the same transaction is refused (412), and so is taking it back (409)")


def give_up(client):
    location, tag = client.open_transaction()
    before = alice, bob = client.account(ALICE), client.account(BOB)
    changes = transfer((ALICE, *alice), (BOB, *bob), amount=10)
    client.send("DELETE", location, If_Match="*").expect(204)
    client.apply(location, tag, changes).expect(410, "transaction-cancelled")
    client.send("DELETE", location, If_Match="*").expect(410, "transaction-cancelled")
    client.send("GET", location).expect(410, "transaction-cancelled")
    check((client.account(ALICE), client.account(BOB)) == before, "a cancelled transaction has changed something")
    report("give up", "DELETE 204; a copy of the request that arrives later: 410, nothing has changed")


def run(url):
    began, client = time.monotonic(), Client(url)
    sent, tags = load(client)
    read_back(client, sent, tags)
    pages(client, sent)
    open_accounts(client)
    compete(client, url)
    lose_answers(client)
    give_up(client)
    report("done", "every answer was as promised", began)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="an empty server that is running already")
    parser.add_argument("--binary", default=server.default_binary(), help="the server to start (%(default)s)")
    arguments = parser.parse_args()
    if not (ISO_CODES / "iso_639-3.json").exists():
        raise SystemExit(f"{ISO_CODES} holds no data: install iso-codes, or set ISO_CODES_DIR")
    try:
        if arguments.url:
            run(arguments.url)
        else:
            with server.Server(arguments.binary) as started:
                run(started.url)
    except Mismatch as mismatch:
        sys.exit(f"NOT AS PROMISED: {mismatch}")


if __name__ == "__main__":
    main()
