"""What schemathesis cannot read out of openapi.yaml, though it stands there in prose: the exact forms of values.

openapi.yaml has no `pattern` and no `maxLength`, because generators make types of their own of them (.spectral.yaml says
which). Here they are put in, so that every request counts as right or as wrong, and each of the two must be answered as
such. What one schema cannot say (this parameter excludes that one) is mended in right requests before they are sent.
"""

import base64
import hashlib
import itertools
import json
import os
import re
import time
import urllib.error
import urllib.request

import schemathesis
from schemathesis.core.media_types import YAML_MEDIA_TYPES

TAG = r'(W/)?"[!#-~]*"'
TAGS = rf"^(\*|{TAG}(, ?{TAG})*)$"
COLLECTION = "[a-z][a-z0-9_-]{0,62}"
LETTER = "[A-Za-z0-9_~!$&'()*+,;=:@-]"
ANY = "[A-Za-z0-9._~!$&'()*+,;=:@-]"
# 1 to 255 characters, but neither `.` nor `..`.
KEY = rf"({LETTER}{ANY}{{0,254}}|\.{LETTER}{ANY}{{0,253}}|\.\.{ANY}{{1,253}})"
# What is there before the run begins (scripts/schemathesis.py), so that not everything is 404.
PREPARED = json.loads(os.environ["IFMATCH_PREPARED"])
# A UUID of version 7 from within the last two minutes: an older one may be behind the purge horizon, a newer one ahead.
LATELY = f"{(int(time.time() * 1000) >> 16) - 1:08x}"
UNUSED = itertools.count()
RESOURCE = "/resources/{collection}/{key}"
DRAFT = "/transactions/{id}/resources/{collection}/{key}"
ID = rf"^{LATELY}-[0-9a-f]{{4}}-7[0-9a-f]{{3}}-[89ab][0-9a-f]{{3}}-[0-9a-f]{{12}}$"
# Quoted, or bare; a right request gets one of its own.
IDEMPOTENCY_KEY = r'^("[ !#-\[\]-~]{1,255}"|[!#-+\--:<-\[\]-~]{1,255})$'


def text(pattern, *likely):
    """A string of this form, in half of the cases one of the likely ones."""
    form = {"type": "string", "pattern": pattern}
    return {"anyOf": [{"type": "string", "enum": list(likely)}, form]} if likely else form


def one_of(*values):
    return {"type": "string", "enum": list(values)}


def change(method, conditions, **members):
    """A change with exactly one condition, and the members that belong to its method."""
    target = text(rf"^/resources/{COLLECTION}/{KEY}$", "/resources/accounts/alice", "/resources/accounts/bob")
    return [
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["method", "target", condition, *(["body"] if "body" in members else [])],
            "properties": {"method": one_of(method), "target": target, condition: form, **members},
        }
        for condition, form in conditions.items()
    ]


def changes():
    match = {"if_match": text(rf"^(\*|{TAG}|[A-Za-z0-9._-]{{1,40}})$", "*")}
    absent = {"if_none_match": one_of("*")}
    patch_types = one_of("application/json", "application/merge-patch+json")
    forms = [
        *change("PUT", {**match, **absent}, body={}, content_type=one_of("application/json", "application/a+json")),
        *change("PATCH", match, body={}, content_type=patch_types),
        *change("DELETE", match),
        *change("GET", {**match, **absent}),
    ]
    return {"type": "array", "minItems": 1, "maxItems": 1000, "items": {"anyOf": forms}}


def parameters(schema):
    found = schema["components"]["parameters"]
    resource_keys = {"type": "array", "maxItems": 100, "items": text(f"^{KEY}$", "alice", "bob")}
    named = {"type": "array", "maxItems": 100, "items": text(f"^{COLLECTION}/{KEY}$", "accounts/alice", "limits/daily")}
    forms = {
        "Collection": text(f"^{COLLECTION}$", "accounts"),
        "ResourceKey": text(f"^{KEY}$", "alice", "bob"),
        # Those that alice has, or any that there can be.
        "Version": {"anyOf": [{"type": "integer", "enum": [1, 2]}, {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}]},
        "TransactionId": text(ID, *PREPARED["ids"]),
        "Limit": {"type": "integer", "minimum": 1, "maximum": 1000},
        # Of any list; a right request gets one of the list that it asks.
        "After": one_of(*PREPARED["cursors"].values()),
        "Prefix": text("^([a-z][a-z0-9_-]{0,62})?$"),
        "Key": resource_keys,
        "CollectionKey": named,
        "State": one_of("open", "committed", "pending", "failed", "unresolved", "cancelled", "expired"),
        "Reference": {"type": "string", "minLength": 1, "maxLength": 255},
        # The tables name every problem, but for the one that is told of once for all.
        "Slug": one_of("method-not-allowed", *re.findall(r"\| \d{3} \| `([a-z-]+)` \|", json.dumps(schema["paths"]))),
        "IfMatch": text(TAGS, "*"),
        "IfNoneMatch": text(TAGS, "*"),
        "IdempotencyKey": text(IDEMPOTENCY_KEY),
    }
    for name, form in forms.items():
        found[name]["schema"] = form
    # Here it begins a key, and a key is more than the name of a collection.
    for operation in ("get", "head"):
        listed = schema["paths"]["/resources/{collection}"][operation]["parameters"]
        listed[listed.index({"$ref": "#/components/parameters/Prefix"})] = {
            "name": "prefix", "in": "query", "schema": text(f"^{ANY}{{0,255}}$"), "example": "al"
        }
    # The examples stand for tags, ids and times of the reader's own server. Each method ends a transaction of its own.
    transaction = schema["paths"]["/transactions/{id}"]
    for method, known in zip(("put", "patch", "delete"), PREPARED["ids"][1:]):
        own = {**found["TransactionId"], "example": known}
        transaction[method]["parameters"] = [own, *transaction[method]["parameters"]]
    # Only a transaction that has a draft can be committed.
    del transaction["patch"]["requestBody"]["content"]["application/json"]["examples"]["commit"]
    for example in transaction["put"]["requestBody"]["content"]["application/json"]["examples"].values():
        for item in example["value"].get("changes", []):
            if "if_match" in item:
                item["if_match"] = "*"
    found["TransactionId"]["example"] = PREPARED["ids"][0]
    found["IfMatch"]["example"] = "*"
    found["IfUnmodifiedSince"]["example"] = "Fri, 31 Dec 2100 00:00:00 GMT"
    found["After"]["example"] = PREPARED["cursors"]["/resources/{collection}"]


def documents(schema):
    found = schema["components"]["schemas"]
    common = {
        "expires_in": {"type": "integer", "minimum": 1, "maximum": 604800},
        "reference": {"type": "string", "minLength": 1, "maxLength": 255},
        "metadata": {"type": "object", "maxProperties": 20},
    }
    found["TransactionCreate"]["properties"].update({**common, "changes": changes()})
    found["TransactionPatch"]["properties"] = {"expires_in": common["expires_in"]}
    found["TransactionPatch"]["required"] = ["expires_in"]
    put = found["TransactionPut"]
    own = {name: {} for name in ["id", "etag", "created_at", "expires_at", "finished_at", "outcome", "links"]}
    put["properties"] = {**put["properties"], **common, "changes": changes(), "state": one_of("committed", "open", "cancelled"), **own}
    put["required"] = ["changes"]
    put["additionalProperties"] = False


def shown_documents(schema):
    """`Prefer: return=representation` is told in prose alone: two forms of success would break both Rust generators."""
    for resource in (schema["paths"][RESOURCE], schema["paths"][DRAFT]):
        for method in ("put", "patch"):
            written = resource[method]["responses"]["204"]
            content = {"application/json": {"schema": {}}}
            shown = {"description": "Written, and shown.", "headers": written["headers"], "content": content}
            resource[method]["responses"]["200"] = shown


@schemathesis.hook
def before_load_schema(context, raw_schema):
    parameters(raw_schema)
    documents(raw_schema)
    shown_documents(raw_schema)


@schemathesis.deserializer(*YAML_MEDIA_TYPES)
def yaml_is_text(context, response):
    """openapi.yaml declares a string, as SDKs return it: not what the YAML in it means."""
    return response.text


def right_query(case):
    query = dict(case.query or {})
    # `key` names all of one page, so that there is no other page and no prefix.
    if query.get("key"):
        query.pop("after", None)
        query.pop("prefix", None)
    # A cursor is good for the list that gave it.
    if "after" in query:
        query["after"] = PREPARED["cursors"][case.operation.path]
        names = case.path_parameters or {}
        if (names.get("collection", "accounts"), names.get("key", "alice")) != ("accounts", "alice"):
            query.pop("after")
    return query


def right_put(case):
    """The naming form and the other take different members; each target occurs once."""
    document = dict(case.body)
    if "changes" not in document:
        # The example that gives an id up: an id of its own, which nobody has used.
        case.path_parameters = {"id": f"{LATELY}-0000-7000-8000-{next(UNUSED):012x}"}
        case.headers = {"If-None-Match": "*"}
        return document
    naming = dict(case.headers or {}).get("If-None-Match") == "*"
    if document.get("state") != "open":
        document.pop("state", None)
    if not naming:
        for name in ("expires_in", "reference", "metadata"):
            document.pop(name, None)
    return apart(document)


def apart(document):
    """Each target once."""
    by_target = {item["target"]: item for item in reversed(document["changes"])}
    return {**document, "changes": list(by_target.values())}


def own_key(key):
    """A key that no other request has."""
    number = f"-{next(UNUSED)}"
    return f'"{key[1:-1][:240]}{number}"' if key.startswith('"') else key[:240] + number


def create(path):
    """So that there is something to read, patch or delete."""
    fields = {"If-None-Match": "*", "Content-Type": "application/json"}
    request = urllib.request.Request(PREPARED["url"] + path, b"{}", fields, method="PUT")
    try:
        urllib.request.urlopen(request).close()
    except urllib.error.HTTPError as refusal:
        refusal.close()  # It is there already, or cannot be.


def judged(headers):
    """Not both conditions, one of which is false then: what is wrong elsewhere would never be looked at."""
    headers = dict(headers)
    if "If-Match" in headers and headers.get("If-None-Match") == "*":
        del headers["If-None-Match"]
    return headers


def conditioned(headers):
    """A condition where there is none; the coverage phase sends requests without."""
    return headers if {"If-Match", "If-None-Match"} & {*headers} else {**headers, "If-Match": "*"}


def digest(case):
    sent = case.as_transport_kwargs()
    content = sent.get("data") or b""
    if "json" in sent:
        content = json.dumps(sent["json"])
    content = content.encode() if isinstance(content, str) else content
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None:
        return
    writes = case.method in ("PUT", "PATCH", "DELETE")
    if writes and case.headers:
        case.headers = judged(case.headers)
    # Stateful testing watches what was deleted.
    if case.operation.path == RESOURCE and case.method != "PUT" and case.meta.phase.name != "stateful":
        create(case.formatted_path)
    if case.operation.path == DRAFT and case.method != "PUT" and case.meta.phase.name != "stateful":
        create("/resources" + case.formatted_path.partition("/resources")[2])
    if case.meta.generation.mode.is_positive:
        mend(case, writes)


def mend(case, writes):
    """What no schema says, made right in a request that is to be right."""
    # Stateful testing follows `links.problems` of the service document, which is a URI template.
    if (case.path_parameters or {}).get("slug") == "{slug}":
        case.path_parameters = {"slug": "gone"}
    if case.query:
        case.query = right_query(case)
    if writes and case.meta.phase.name != "coverage":
        case.headers = conditioned(dict(case.headers or {}))
    if case.operation.label == "PUT /transactions/{id}" and isinstance(case.body, dict):
        case.body = right_put(case)
    if case.operation.label == "POST /transactions" and isinstance(case.body, dict) and "changes" in case.body:
        case.body = apart(case.body)
        case.headers = {"Idempotency-Key": "command", **(case.headers or {})}
    if case.headers and "Idempotency-Key" in case.headers:
        case.headers = {**case.headers, "Idempotency-Key": own_key(case.headers["Idempotency-Key"])}
    # Its own content's, not the one of the example.
    if case.headers and "Content-Digest" in case.headers:
        case.headers = {**case.headers, "Content-Digest": digest(case)}
