"""A transfer with the SDK that openapi-python-client makes of openapi.yaml, whatever gets in its way.

round_trip.py <server URL> <URL of a proxy before it that loses answers>
"""

import sys
import uuid
from collections.abc import Callable
from typing import Any

import httpx
from ifmatch_client import Client
from ifmatch_client.api.resources import get_resource, head_resource, list_collections, put_resource
from ifmatch_client.api.transactions import create_transaction, delete_transaction, put_transaction
from ifmatch_client.models import Change, ChangeMethod, Conflict, EntryList, Problem, Transaction, TransactionPut

PUTS_MAX = 10  # of one transfer


def read(client: Client, key: str) -> tuple[Any, str]:
    """The document, and the tag of this very state."""
    answer = get_resource.sync_detailed("accounts", key, client=client)
    assert answer.status_code == 200, answer.parsed
    return answer.parsed, answer.headers["ETag"]


def put(key: str, if_match: str, balance: int) -> Change:
    return Change(
        method=ChangeMethod.PUT, target=f"/resources/accounts/{key}", if_match=if_match, body={"balance": balance}
    )


def open_transaction(client: Client) -> Transaction:
    answer = create_transaction.sync_detailed(client=client)
    assert isinstance(answer.parsed, Transaction), answer.parsed
    assert answer.headers["ETag"] == answer.parsed.etag
    return answer.parsed


def transfer(
    client: Client, source: str, target: str, amount: int, meanwhile: Callable[[], object] = lambda: None
) -> tuple[Transaction, list[Conflict]]:
    """Moves money. Returns the applied transaction, and the conflicts that were met on the way."""
    opened = open_transaction(client)
    met: list[Conflict] = []
    for _ in range(PUTS_MAX):
        giver, giver_tag = read(client, source)
        taker, taker_tag = read(client, target)
        meanwhile()
        changes = [
            put(source, giver_tag, giver["balance"] - amount),
            put(target, taker_tag, taker["balance"] + amount),
        ]
        answer = put_transaction.sync(
            opened.id, client=client, body=TransactionPut(changes=changes), if_match=opened.etag
        )
        if isinstance(answer, Transaction):
            return answer, met
        if answer is None or answer.type_ != "/problems/stale-resource":
            raise RuntimeError(answer)
        met += answer.conflicts or []  # nothing was applied: read again, same transaction
    raise RuntimeError(f"{source} is changed all the time")


def competes(client: Client, alice: str, bob: str) -> None:
    """Somebody else changes alice between our reading and our writing, once."""
    current: list[str] = []

    def meanwhile() -> None:
        if not current:
            written = put_resource.sync_detailed(
                "accounts", alice, client=client, body={"balance": 120}, if_match=read(client, alice)[1]
            )
            assert written.status_code == 204
            current.append(written.headers["ETag"])

    applied, met = transfer(client, alice, bob, 10, meanwhile)
    assert applied.state == "committed" and applied.outcome and len(applied.outcome.changes) == 2
    assert [(conflict.change, conflict.target) for conflict in met] == [(0, f"/resources/accounts/{alice}")]
    assert met[0].current == current[0] and met[0].if_match != current[0]
    assert (met[0].transaction or "").startswith("/transactions/")


def loses_an_answer(client: Client, lossy_url: str, alice: str, bob: str) -> None:
    lossy = Client(base_url=lossy_url)
    opened = open_transaction(lossy)
    (giver, giver_tag), (taker, taker_tag) = read(client, alice), read(client, bob)
    changes = TransactionPut(
        changes=[put(alice, giver_tag, giver["balance"] - 10), put(bob, taker_tag, taker["balance"] + 10)]
    )
    mark = f"lose-me-{uuid.uuid4()}"
    for losses in range(PUTS_MAX):
        try:
            answer = put_transaction.sync_detailed(
                opened.id, client=lossy, body=changes, if_match=opened.etag, x_request_id=mark
            )
            break
        except (httpx.TransportError, ValueError):  # ValueError: a proxy's error page instead of JSON
            continue  # applied or not? The same request tells.
    replayed = answer.headers.get("Idempotent-Replayed") == "true"
    assert losses == 1 and replayed
    assert isinstance(answer.parsed, Transaction) and answer.parsed.state == "committed"


def gives_up(client: Client, alice: str) -> None:
    opened = open_transaction(client)
    late = TransactionPut(changes=[put(alice, read(client, alice)[1], 0)])
    given_up = delete_transaction.sync_detailed(opened.id, client=client, if_match="*")
    assert given_up.status_code == 204
    answer = put_transaction.sync(opened.id, client=client, body=late, if_match=opened.etag)
    assert isinstance(answer, Problem)
    assert (answer.status, answer.type_) == (410, "/problems/transaction-cancelled")


def limits(client: Client, key: str) -> None:
    """What docs/sdks.md says this SDK can't do: noticed here once it can."""
    null = put_resource.sync(
        "accounts", f"null-{uuid.uuid4()}", client=client, body=None, if_none_match="*"
    )
    assert isinstance(null, Problem) and null.type_ == "/problems/malformed-request"
    same = get_resource.sync_detailed("accounts", key, client=client, if_none_match=read(client, key)[1])
    assert (same.status_code, same.parsed) == (304, None)
    try:
        head_resource.sync_detailed("accounts", f"absent-{uuid.uuid4()}", client=client)
        raise AssertionError("HEAD of what does not exist should have raised")
    except ValueError:
        pass


def main() -> None:
    url, lossy_url = sys.argv[1:]
    client = Client(base_url=url)
    alice, bob = (f"{name}+co&sons-{uuid.uuid4()}" for name in ("alice", "bob"))
    for key, balance in ((alice, 100), (bob, 0)):
        created = put_resource.sync_detailed(
            "accounts", key, client=client, body={"balance": balance}, if_none_match="*"
        )
        assert created.status_code == 201 and created.headers["ETag"] == read(client, key)[1]
    competes(client, alice, bob)
    loses_an_answer(client, lossy_url, alice, bob)
    gives_up(client, alice)
    limits(client, alice)
    listed = list_collections.sync(client=client, key=[f"accounts/{alice}", f"accounts/{bob}"])
    assert isinstance(listed, EntryList)
    balances = {item.key: item.body["balance"] for item in listed.items if item.body}
    assert balances == {alice: 100, bob: 20}, balances
    print("mypy --strict; one 412, one lost answer, one 410; 100 and 20 in the end")


if __name__ == "__main__":
    main()
