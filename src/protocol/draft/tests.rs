//! Drafts as values: what is kept of them, and what a resource looks like through them.

#![allow(clippy::unwrap_used)]
use super::*;
use crate::protocol::condition::{Conditions, TagList};
use crate::protocol::operation::{INCREMENT, JSON};
use crate::protocol::tag::{DocumentTag, StateTag};

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn name(key: &str) -> ResourceName {
    ResourceName::parse_path(&format!("/resources/a/{key}")).unwrap()
}

fn change(method: ChangeMethod, key: &str, body: Option<&str>) -> Change {
    Change {
        method,
        target: name(key),
        conditions: Conditions {
            if_match: Some(TagList::Star),
            ..Conditions::default()
        },
        media_type: match method {
            ChangeMethod::Patch(_) => INCREMENT.into(),
            _ => JSON.into(),
        },
        body: body.map(Arc::from),
    }
}

fn put(key: &str, body: &str) -> Change {
    change(ChangeMethod::Put, key, Some(body))
}

fn open() -> Transaction {
    Transaction {
        id: TransactionId::from_uuid(uuid::Uuid::nil()),
        state: crate::protocol::state::State::Open,
        tag: DocumentTag {
            version: 4,
            nonce: 99,
        },
        created_at: NOW,
        expires_at: NOW.plus_seconds(1),
        finished_at: None,
        reference: None,
        metadata: None,
        operation: None,
        digest: None,
        outcome: None,
        draft: None,
    }
}

fn resource(version: i64, body: &str) -> Resource {
    Resource {
        tag: StateTag { version, nonce: 5 },
        deleted: false,
        media_type: "application/vnd.x+json".into(),
        body: Some(body.into()),
        updated_at: NOW,
        transaction: TransactionId::from_uuid(uuid::Uuid::nil()),
    }
}

/// Stores a draft and reads it back.
fn stored(draft: &Draft) -> Draft {
    let mut transaction = open();
    draft.store(&draft.operation(), &mut transaction);
    let read = Draft::of(&transaction).unwrap();
    let changes = |draft: &Draft| -> Vec<(String, i64)> {
        let entries = draft.entries.iter();
        entries
            .map(|entry| (entry.change.text(), entry.nonce))
            .collect()
    };
    assert_eq!(changes(&read), changes(draft));
    assert_eq!(transaction.digest, Some(read.operation().digest));
    read
}

fn tag(draft: &Draft, key: &str, resource: Option<&Resource>) -> Option<String> {
    let view = draft.view(&name(key), resource);
    view.tag().map(|tag| tag.to_string())
}

#[test]
fn a_draft_reads_back_as_it_was_stored() {
    let mut draft = Draft::default();
    assert!(Draft::of(&open()).unwrap().is_empty());
    for (index, key) in ["x", "y", "z"].iter().enumerate() {
        let deep = format!("{}0{}", "[".repeat(100), "]".repeat(100));
        draft.record(put(key, &deep), i64::try_from(index).unwrap() - 1);
    }
    draft.record(change(ChangeMethod::Delete, "d", None), i64::MIN);
    draft.record(change(ChangeMethod::Get, "g", None), i64::MAX);
    let increment = ChangeMethod::Patch(PatchKind::Increment);
    draft.record(change(increment, "p", Some("{\"n\":1.50}")), 7);
    let mut read = stored(&draft);
    assert_eq!(read.len(), 6);
    for key in ["x", "y", "z", "d", "g", "p"] {
        read.forget(&name(key));
    }
    let mut transaction = open();
    draft.store(&draft.operation(), &mut transaction);
    read.store(&read.operation(), &mut transaction);
    assert_eq!(transaction, open(), "an empty draft is none");
}

#[test]
fn what_is_recorded_again_stays_in_its_place_under_another_tag() {
    let mut draft = Draft::default();
    draft.record(put("x", "1"), 1);
    draft.record(put("y", "1"), 1);
    let before = tag(&draft, "x", None);
    draft.record(put("x", "1"), 2);
    assert_ne!(tag(&draft, "x", None), before);
    let text = draft.operation().text;
    assert!(text.find("/a/x") < text.find("/a/y"), "{text}");
}

#[test]
fn a_saved_draft_keeps_the_tags_of_what_is_the_same_to_the_letter() {
    let mut draft = Draft::default();
    draft.record(put("same", "{\"a\": 1}"), 1);
    draft.record(put("spelled", "{\"a\": 1}"), 1);
    draft.record(put("gone", "1"), 1);
    let saved = [
        put("new", "1"),
        put("spelled", "{\"a\":1}"),
        put("same", "{\"a\": 1}"),
    ];
    let replaced = stored(&draft.replaced(&saved, 2));
    assert_eq!(tag(&replaced, "same", None), tag(&draft, "same", None));
    assert_ne!(
        tag(&replaced, "spelled", None),
        tag(&draft, "spelled", None)
    );
    assert_eq!(tag(&replaced, "gone", None), None);
    assert!(replaced.is_recorded_under(&name("new"), 2));
}

#[test]
fn a_patched_view_has_another_tag_for_each_state_of_its_resource() {
    let increment = ChangeMethod::Patch(PatchKind::Increment);
    let mut draft = Draft::default();
    draft.record(change(increment, "p", Some("{\"n\":1}")), 7);
    let (first, second) = (resource(1, "{\"n\":1.5}"), resource(2, "{\"n\":\"\"}"));
    assert_ne!(
        tag(&draft, "p", Some(&first)),
        tag(&draft, "p", Some(&second))
    );
    let view = draft.view(&name("p"), Some(&first));
    let shown = view.shown(100).unwrap().unwrap();
    assert_eq!(shown.body.as_deref(), Some("{\"n\":2.5}"));
    assert_eq!(&*shown.media_type, "application/vnd.x+json");
    assert_eq!(shown.written, None);
    assert!(draft.view(&name("p"), Some(&second)).shown(100).is_err());
    assert!(matches!(draft.view(&name("p"), None), View::Absent(_)));
}

#[test]
fn what_the_draft_leaves_alone_or_asserts_is_the_resource_itself() {
    let mut draft = Draft::default();
    draft.record(change(ChangeMethod::Get, "g", None), 7);
    let mut asserted_absent = change(ChangeMethod::Get, "none", None);
    asserted_absent.conditions = Conditions {
        if_none_match: Some(TagList::Star),
        ..Conditions::default()
    };
    draft.record(asserted_absent, 7);
    let own = resource(3, "1");
    for key in ["g", "untouched"] {
        assert_eq!(tag(&draft, key, Some(&own)), Some(own.tag.to_string()));
        assert_eq!(tag(&draft, key, None), None);
        let mut deleted = own.clone();
        deleted.deleted = true;
        assert_eq!(tag(&draft, key, Some(&deleted)), None);
    }
    assert_eq!(tag(&draft, "none", Some(&own)), None);
}

#[test]
fn a_commit_is_remembered_by_the_tag_that_it_started_from() {
    let mut transaction = open();
    assert_eq!(committed_from(&transaction), None);
    let from = transaction.tag.to_string();
    started_from(&mut transaction);
    transaction.tag.version += 1;
    assert_eq!(committed_from(&transaction), Some(from));
}
