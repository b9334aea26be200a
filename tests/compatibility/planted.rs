//! The comparison finds each planted change that breaks SDK users, and lets the harmless ones pass.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::comparison::compare;
use crate::rules::Rule;

const SHOP: &str = r##"
openapi: 3.0.3
info: { title: shop, version: 1.0.0 }
servers: [{ url: "http://127.0.0.1:1" }]
security: []
paths:
  /things/{id}:
    parameters: [{ $ref: "#/components/parameters/Id" }]
    get:
      operationId: getThing
      tags: [things]
      summary: Read it
      parameters:
        - { name: limit, in: query, schema: { type: integer, format: int32 } }
        - { name: after, in: query, schema: { type: string } }
      responses:
        "200":
          description: Found.
          headers:
            ETag: { schema: { type: string } }
            Date: { required: true, schema: { type: string } }
          content:
            application/json:
              schema: { $ref: "#/components/schemas/Thing" }
              example: { tag: a, kind: one }
            application/xml: { schema: { $ref: "#/components/schemas/Thing" } }
        "304": { description: Not modified. }
        4XX: { $ref: "#/components/responses/Error" }
    put:
      operationId: putThing
      tags: [things]
      requestBody:
        required: true
        content:
          application/json: { schema: { $ref: "#/components/schemas/ThingPut" } }
      responses:
        "204": { description: Written. }
    delete:
      operationId: deleteThing
      tags: [things]
      responses:
        "204": { description: Deleted. }
components:
  parameters:
    Id: { name: id, in: path, required: true, schema: { type: string } }
  responses:
    Error:
      description: Refused.
      content:
        application/json: { schema: { type: object, properties: { why: { type: string } } } }
  schemas:
    Thing:
      type: object
      required: [tag, kind]
      properties:
        tag: { type: string }
        kind: { $ref: "#/components/schemas/Kind" }
        note: { type: string }
        sizes: { type: array, items: { type: integer, format: int32 } }
        body: { description: Any JSON. }
    ThingPut:
      type: object
      required: [color]
      properties:
        color: { $ref: "#/components/schemas/Color" }
        weight: { type: integer, format: int32 }
    Kind: { type: string, enum: [one, two] }
    Color: { type: string, enum: [red, green] }
"##;

/// A rule, the subject that it names, and a piece of SHOP with what takes its place.
type Planted = (Rule, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const BREAKING: &[Planted] = &[
    (Rule::OperationGone, "getThing", "  /things/{id}:\n", "  /thing/{id}:\n"),
    (Rule::OperationGone, "deleteThing", "    delete:\n      operationId: deleteThing\n      tags: [things]\n      responses:\n        \"204\": { description: Deleted. }\n", ""),
    (Rule::OperationRenamed, "putThing", "operationId: putThing", "operationId: updateThing"),
    (Rule::OperationRegrouped, "deleteThing", "deleteThing\n      tags: [things]", "deleteThing\n      tags: [thing]"),
    (Rule::OperationChanged, "putThing", "operationId: putThing", "operationId: putThing\n      servers: [{ url: http://127.0.0.1:2 }]"),
    (Rule::ParameterGone, "getThing", "        - { name: after, in: query, schema: { type: string } }\n", ""),
    (Rule::ParameterGone, "getThing", "{ name: after, in: query", "{ name: from, in: query"),
    (Rule::ParameterGone, "getThing", "{ name: after, in: query", "{ name: after, in: header"),
    (Rule::ParameterDemanded, "deleteThing", "operationId: deleteThing", "operationId: deleteThing\n      parameters: [{ name: if, in: query, required: true, schema: { type: string } }]"),
    (Rule::ParameterOrder, "getThing", "        - { name: limit", "        - { name: new, in: query, schema: { type: string } }\n        - { name: limit"),
    (Rule::ParameterOrder, "getThing", "        - { name: limit, in: query, schema: { type: integer, format: int32 } }\n        - { name: after, in: query, schema: { type: string } }\n", "        - { name: after, in: query, schema: { type: string } }\n        - { name: limit, in: query, schema: { type: integer, format: int32 } }\n"),
    (Rule::NecessityChanged, "getThing", "{ name: after, in: query", "{ name: after, required: true, in: query"),
    (Rule::NecessityChanged, "getThing", "Date: { required: true, schema", "Date: { schema"),
    (Rule::NecessityChanged, "putThing", "        required: true\n        content", "        content"),
    (Rule::NecessityChanged, "Thing.tag", "required: [tag, kind]", "required: [kind]"),
    (Rule::NecessityChanged, "ThingPut.weight", "required: [color]", "required: [color, weight]"),
    (Rule::ContentChanged, "deleteThing", "operationId: deleteThing", "operationId: deleteThing\n      requestBody: { required: true, content: { application/json: { schema: {} } } }"),
    (Rule::ContentChanged, "putThing", "      requestBody:\n        required: true\n        content:\n          application/json: { schema: { $ref: \"#/components/schemas/ThingPut\" } }\n", ""),
    (Rule::ContentChanged, "putThing", "{ description: Written. }", "{ description: Written., content: { application/json: { schema: {} } } }"),
    (Rule::MediaTypes, "getThing", "            application/xml: { schema: { $ref: \"#/components/schemas/Thing\" } }\n", ""),
    (Rule::MediaTypes, "getThing", "      content:\n        application/json: { schema: { type: object", "      content:\n        application/problem+json: { schema: { type: object"),
    (Rule::MediaTypes, "putThing", "        content:\n          application/json:", "        content:\n          application/xml: { schema: {} }\n          application/json:"),
    (Rule::StatusGone, "getThing", "        \"304\": { description: Not modified. }\n", ""),
    (Rule::StatusAdded, "getThing", "        \"304\":", "        \"202\": { description: Later. }\n        \"304\":"),
    (Rule::HeaderGone, "getThing", "            ETag: { schema: { type: string } }", "            Age: { schema: { type: string } }"),
    (Rule::MemberGone, "Thing.note", "        note: { type: string }\n", ""),
    (Rule::MemberGone, "ThingPut.weight", "        weight: { type: integer, format: int32 }\n", ""),
    (Rule::MemberGone, "getThing", "properties: { why: { type: string } }", "properties: {}"),
    (Rule::MemberDemanded, "ThingPut.name", "required: [color]\n      properties:\n", "required: [color, name]\n      properties:\n        name: { type: string }\n"),
    (Rule::TypeChanged, "Thing.tag", "tag: { type: string }", "tag: { type: integer, format: int32 }"),
    (Rule::TypeChanged, "Thing.tag", "tag: { type: string }", "tag: { type: string, nullable: true }"),
    (Rule::TypeChanged, "Thing.tag", "tag: { type: string }", "tag: { type: string, format: uuid }"),
    (Rule::TypeChanged, "Thing.note", "note: { type: string }", "note: { type: string, enum: [a] }"),
    (Rule::TypeChanged, "Thing.sizes", "items: { type: integer, format: int32 }", "items: { type: integer, format: int64 }"),
    (Rule::TypeChanged, "Thing.body", "body: { description: Any JSON. }", "body: { type: object }"),
    (Rule::TypeChanged, "Thing.kind", "kind: { $ref: \"#/components/schemas/Kind\" }", "kind: { type: string }"),
    (Rule::TypeChanged, "ThingPut.weight", "weight: { type: integer, format: int32 }", "weight: { type: integer, format: int32, maximum: 9 }"),
    (Rule::TypeChanged, "ThingPut", "    ThingPut:\n", "    ThingPut:\n      title: Input\n"),
    (Rule::TypeChanged, "getThing", "name: limit, in: query, schema: { type: integer, format: int32 }", "name: limit, in: query, schema: { type: string }"),
    (Rule::TypeChanged, "getThing", "name: after, in: query, schema: { type: string }", "name: after, in: query, explode: false, schema: { type: string }"),
    (Rule::TypeChanged, "getThing", "ETag: { schema: { type: string } }", "ETag: { schema: { type: integer, format: int32 } }"),
    (Rule::EnumShrunk, "Color", "[red, green]", "[red]"),
    (Rule::EnumShrunk, "Kind", "[one, two]", "[one]"),
    (Rule::EnumGrown, "Kind", "[one, two]", "[one, two, three]"),
    (Rule::SecurityChanged, "getThing", "security: []", "security: [{ token: [] }]"),
    (Rule::SecurityChanged, "putThing", "operationId: putThing", "operationId: putThing\n      security: [{ token: [] }]"),
    (Rule::DocumentChanged, "openapi", "openapi: 3.0.3", "openapi: 3.1.0"),
    (Rule::DocumentChanged, "info.title", "title: shop", "title: store"),
    (Rule::DocumentChanged, "servers", "127.0.0.1:1", "127.0.0.1:2"),
];

/// Components, and names that they get everywhere.
const RENAMED: &[(&str, &str, &str)] = &[
    ("Color", "Color", "Colour"),
    ("components.responses.Error", "Error", "Fault"),
    ("components.parameters.Id", "Id", "ThingId"),
];

/// A piece of SHOP and what takes its place.
#[rustfmt::skip]
const HARMLESS: &[(&str, &str)] = &[
    ("version: 1.0.0", "version: 1.1.0"),
    ("summary: Read it", "summary: Read a thing\n      description: All of it.\n      x-note: 1\n      deprecated: true"),
    ("paths:\n", "paths:\n  /:\n    get: { operationId: getRoot, tags: [root], responses: { \"200\": { description: Hello. } } }\n"),
    ("        - { name: after, in: query, schema: { type: string } }\n", "        - { name: after, in: query, schema: { type: string } }\n        - { name: new, in: query, schema: { type: string } }\n"),
    ("        - { name: after, in: query, schema: { type: string } }\n", "        - { name: after, in: query, description: Where to begin., example: b, schema: { type: string } }\n"),
    ("operationId: deleteThing", "operationId: deleteThing\n      requestBody: { content: { application/json: { schema: {} } } }"),
    ("            ETag: { schema: { type: string } }", "            Age: { schema: { type: string } }\n            ETag: { schema: { type: string } }"),
    ("ETag: { schema", "ETag: { required: true, schema"),
    ("            application/xml: { schema: { $ref: \"#/components/schemas/Thing\" } }\n", "            application/xml: { schema: { $ref: \"#/components/schemas/Thing\" } }\n            text/csv: { schema: { type: string } }\n"),
    ("example: { tag: a, kind: one }", "example: { tag: b, kind: two }"),
    ("  schemas:\n", "  schemas:\n    New: { type: object }\n"),
    ("        note: { type: string }\n", "        note: { type: string, description: Words., example: a }\n        more: { type: string }\n"),
    ("required: [tag, kind]\n      properties:\n", "required: [tag, kind, size]\n      properties:\n        size: { type: string }\n"),
    ("        weight:", "        height: { type: integer, format: int32 }\n        weight:"),
    ("[red, green]", "[red, green, blue]"),
    ("[one, two]", "[two, one]"),
];

/// SHOP with a piece of it replaced.
#[track_caller]
fn planted(piece: &str, instead: &str) -> Value {
    assert_eq!(SHOP.matches(piece).count(), 1, "{piece}");
    serde_norway::from_str(&SHOP.replace(piece, instead)).unwrap()
}

#[test]
fn planted_breaks_are_found() {
    let shop: Value = serde_norway::from_str(SHOP).unwrap();
    let mut seen = BTreeSet::from([Rule::ComponentGone]);
    for (rule, subject, piece, instead) in BREAKING {
        let found = compare(&shop, &planted(piece, instead));
        assert!(
            found
                .iter()
                .any(|one| one.rule == *rule && one.subject == *subject),
            "{rule:?} of {subject}: `{piece}` → `{instead}`: {found:?}"
        );
        seen.insert(*rule);
    }
    assert_eq!(seen, BTreeSet::from(Rule::ALL), "each rule has its example");
}

#[test]
fn planted_renamings_of_types_are_found() {
    let shop: Value = serde_norway::from_str(SHOP).unwrap();
    for (subject, before, after) in RENAMED {
        let (before, after) = (
            [format!("/{before}\""), format!("    {before}:")],
            [format!("/{after}\""), format!("    {after}:")],
        );
        let text = SHOP.replace(&before[0], &after[0]);
        let text = text.replace(&before[1], &after[1]);
        let found = compare(&shop, &serde_norway::from_str(&text).unwrap());
        assert!(
            found
                .iter()
                .any(|one| one.rule == Rule::ComponentGone && one.subject == *subject),
            "{subject}: {found:?}"
        );
    }
}

#[test]
fn planted_additions_pass() {
    let shop: Value = serde_norway::from_str(SHOP).unwrap();
    assert_eq!(compare(&shop, &shop), []);
    for (piece, instead) in HARMLESS {
        let found = compare(&shop, &planted(piece, instead));
        assert_eq!(found, [], "`{piece}` → `{instead}`");
    }
}

/// One change is reported once, not wherever the schema is used.
#[test]
fn one_break_is_one_finding() {
    let shop: Value = serde_norway::from_str(SHOP).unwrap();
    let found = compare(&shop, &planted("[one, two]", "[one]"));
    assert_eq!(found.len(), 1, "{found:?}");
    let found = compare(&shop, &planted("operationId: putThing", "operationId: x"));
    assert_eq!(found.len(), 1, "{found:?}");
}
