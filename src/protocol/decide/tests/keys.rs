//! Commands with a key: the first does it, the others are told.

use super::*;
use crate::protocol::key::{KeyName, RequestKey};
use crate::protocol::operation::{INCREMENT, parse_post};
use crate::protocol::patch::PatchKind;

fn key(text: &str) -> RequestKey {
    RequestKey {
        name: KeyName {
            principal: "".into(),
            text: text.into(),
        },
        first_sent: None,
    }
}

fn keyed(mut command: Command, text: &str) -> Command {
    command.key = Some(key(text));
    command
}

fn put_one(number: u128, text: &str, body: &str) -> Command {
    let put = ChangeMethod::Put;
    keyed(
        write(number, put, "/resources/a/k", &[], &["*"], Some(body)),
        text,
    )
}

fn post(number: u128, content: &str) -> Command {
    let content = parse_post(content.as_bytes(), true);
    keyed(
        command(number, conditions(&[], &[]), Action::Create(content)),
        "k",
    )
}

#[track_caller]
fn again(verdict: Verdict) -> Done {
    match verdict.unwrap() {
        Done::Again(first) => *first,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_second_of_a_batch_is_told_what_the_first_did() {
    let mut world = world();
    let first = tag_after(decide(&mut world, &put_one(1, "k", "{\"a\":1,\"b\":2}")));
    let second = again(decide(&mut world, &put_one(2, "k", "{\"b\":2.0, \"a\":1}")));
    let Done::Written {
        transaction,
        created,
        resource,
    } = second
    else {
        panic!("{second:?}")
    };
    assert_eq!((transaction, created, resource.tag), (id(1), true, first));
    assert_eq!(world.writes().versions.len(), 1);
    assert_eq!(world.writes().keys.len(), 1);
}

#[test]
fn another_request_with_the_key_is_refused_whatever_its_condition() {
    let mut world = world();
    decide(&mut world, &put_one(1, "k", "1")).unwrap();
    let other_tag = keyed(
        write(
            3,
            ChangeMethod::Put,
            "/resources/a/k",
            &["*"],
            &[],
            Some("1"),
        ),
        "k",
    );
    let other_method = keyed(
        write(4, ChangeMethod::Delete, "/resources/a/k", &[], &["*"], None),
        "k",
    );
    let other_path = keyed(
        write(
            5,
            ChangeMethod::Put,
            "/resources/a/l",
            &[],
            &["*"],
            Some("1"),
        ),
        "k",
    );
    let mut dated = put_one(6, "k", "1");
    dated.conditions.as_mut().unwrap().if_unmodified_since = Some(1);
    let mut typed = put_one(7, "k", "1");
    let Action::Write { content, .. } = &mut typed.action else {
        panic!()
    };
    let mut changes = content.as_ref().unwrap().changes.clone();
    changes[0].media_type = "application/vnd.a+json".into();
    *content = Ok(Operation::new(changes));
    let mut invalid = put_one(8, "k", "1");
    let Action::Write { content, .. } = &mut invalid.action else {
        panic!()
    };
    *content = Err(Problem::new(Slug::InvalidOperation, ""));
    for other in [
        put_one(2, "k", "2"),
        other_tag,
        other_method,
        other_path,
        dated,
        typed,
        invalid,
        post(9, ""),
    ] {
        let problem = refused(decide(&mut world, &other));
        assert_eq!(problem.slug, Slug::KeyReused, "{other:?}");
        assert!(problem.detail.contains(&id(1).path()), "{}", problem.detail);
    }
    assert_eq!(world.writes().versions.len(), 1);
}

#[test]
fn what_cannot_be_read_is_told_so_and_not_that_it_is_another_request() {
    for slug in [
        Slug::MalformedRequest,
        Slug::ContentTooLarge,
        Slug::UnsupportedMediaType,
    ] {
        let mut world = world();
        decide(&mut world, &put_one(1, "k", "1")).unwrap();
        let mut broken = put_one(2, "k", "1");
        let Action::Write { content, .. } = &mut broken.action else {
            panic!()
        };
        *content = Err(Problem::new(slug, ""));
        assert_eq!(refused(decide(&mut world, &broken)).slug, slug);
    }
}

#[test]
fn a_refused_command_leaves_its_key_unused() {
    let mut world = world();
    let absent = keyed(
        write(
            1,
            ChangeMethod::Put,
            "/resources/a/k",
            &["*"],
            &[],
            Some("1"),
        ),
        "k",
    );
    let problem = refused(decide(&mut world, &absent));
    assert_eq!(problem.slug, Slug::StaleResource);
    assert!(world.writes().keys.is_empty());
    tag_after(decide(&mut world, &put_one(2, "k", "1")));
}

#[test]
fn a_key_makes_blind_patches_safe_to_repeat() {
    let mut world = world();
    decide(&mut world, &put_one(1, "created", "{\"n\":1}")).unwrap();
    let patch = |number| {
        let increment = ChangeMethod::Patch(PatchKind::Increment);
        let mut patch = write(number, increment, "/resources/a/k", &["*"], &[], None);
        let Action::Write { content, .. } = &mut patch.action else {
            panic!()
        };
        let mut changes = content.as_ref().unwrap().changes.clone();
        changes[0].media_type = INCREMENT.into();
        changes[0].body = Some("{\"n\":1}".into());
        *content = Ok(Operation::new(changes));
        patch
    };
    let bare = refused(decide(&mut world, &patch(2)));
    assert_eq!(bare.slug, Slug::PreconditionRequired);
    assert!(bare.detail.contains("Idempotency-Key: "), "{}", bare.detail);
    let first = tag_after(decide(&mut world, &keyed(patch(3), "k")));
    let second = again(decide(&mut world, &keyed(patch(4), "k")));
    assert_eq!(tag_after(Ok(second)), first);
    tag_after(decide(&mut world, &keyed(patch(5), "l")));
    let body = world
        .resource(&name("/resources/a/k"))
        .unwrap()
        .body
        .clone();
    assert_eq!(body.as_deref(), Some("{\"n\":3}"));
}

#[test]
fn one_command_creates_and_applies_once() {
    let content = r#"{"reference": "r", "changes": [{"method": "PUT", "target": "/resources/a/k", "if_none_match": "*", "body": 1}]}"#;
    let mut world = world();
    let Done::Created(made) = decide(&mut world, &post(1, content)).unwrap() else {
        panic!()
    };
    assert_eq!((made.id, made.state), (id(1), State::Committed));
    let Done::Created(seen) = again(decide(&mut world, &post(2, content))) else {
        panic!()
    };
    assert_eq!(seen, made);
    // Another key with the same reference.
    let mut other = post(3, content);
    other.key = Some(key("l"));
    let problem = refused(decide(&mut world, &other));
    assert_eq!(problem.slug, Slug::DuplicateReference);
    assert_eq!(problem.current.map(|current| current.id), Some(id(1)));
    assert_eq!(world.writes().versions.len(), 1);
}

#[test]
fn a_command_with_a_reference_shares_no_open_context() {
    let mut world = world();
    let mut plain = post(1, r#"{"reference": "r"}"#);
    plain.key = None;
    decide(&mut world, &plain).unwrap();
    let with_changes = post(
        2,
        r#"{"reference": "r", "changes": [{"method": "GET", "target": "/resources/a/k", "if_none_match": "*"}]}"#,
    );
    let problem = refused(decide(&mut world, &with_changes));
    assert_eq!(problem.slug, Slug::DuplicateReference);
    // A plain one shares it, and its key stands for what it was told.
    let Done::Shared(shared) = decide(&mut world, &post(3, r#"{"reference": "r"}"#)).unwrap()
    else {
        panic!()
    };
    assert_eq!(shared.id, id(1));
    let told = again(decide(&mut world, &post(4, r#"{"reference":"r"}"#)));
    assert!(matches!(told, Done::Shared(told) if told.id == id(1)));
}

#[test]
fn a_stale_command_is_told_to_post_again() {
    let content = r#"{"changes": [{"method": "PUT", "target": "/resources/a/k", "if_match": "*", "body": 1}]}"#;
    let mut world = world();
    let problem = refused(decide(&mut world, &post(1, content)));
    assert_eq!(
        (problem.slug, problem.conflicts.len()),
        (Slug::StaleResource, 1)
    );
    assert!(
        problem
            .detail
            .ends_with("POST again; the same key may be used.")
    );
    assert!(world.writes().transactions.is_empty() && world.writes().keys.is_empty());
}

#[test]
fn a_keyed_context_is_told_as_it_is_now() {
    let mut world = world();
    // None, null and an empty object are the same content.
    let Done::Created(made) = decide(&mut world, &post(1, "")).unwrap() else {
        panic!()
    };
    for content in ["null", "{}", " { } "] {
        let Done::Created(seen) = again(decide(&mut world, &post(2, content))) else {
            panic!()
        };
        assert_eq!(seen, made);
    }
    let problem = refused(decide(&mut world, &post(3, r#"{"expires_in": 60}"#)));
    assert_eq!(problem.slug, Slug::KeyReused);
    let cancel = command(1, conditions(&["*"], &[]), Action::Cancel(Ok(())));
    decide(&mut world, &cancel).unwrap();
    let problem = refused(decide(&mut world, &post(4, "")));
    assert_eq!(problem.slug, Slug::TransactionCancelled);
}

#[test]
fn the_horizon_counts_for_keys_that_tell_their_time() {
    let at = |micros| Timestamp::from_micros(micros);
    let millis = 1_799_999_000_000_u64;
    let micros = i64::try_from(millis).unwrap() * 1000;
    let v7 = uuid::Uuid::from_u128(u128::from(millis) << 80 | 0x7 << 76 | 0x2 << 62);
    for (horizon, gone) in [(micros - 1, false), (micros, true), (micros + 1, true)] {
        let mut world = world();
        world.purge_horizon = at(horizon);
        let verdict = decide(&mut world, &put_one(1, &v7.to_string(), "1"));
        assert_eq!(
            verdict.clone().err().map(|p| p.slug),
            gone.then_some(Slug::Gone)
        );
        // Any other key tells nothing, and is new.
        decide(&mut world, &put_one(2, "k", "1")).err();
        let mut sent = put_one(3, "l", "1");
        sent.conditions = conditions(&["*"], &[]);
        sent.key.as_mut().unwrap().first_sent = Some(at(micros));
        let slug = decide(&mut world, &sent).err().map(|problem| problem.slug);
        assert_eq!(slug == Some(Slug::RequestTooOld), gone, "{slug:?}");
    }
    // One that is found is told of all the same.
    let mut world = world();
    decide(&mut world, &put_one(1, &v7.to_string(), "1")).unwrap();
    world.purge_horizon = NOW;
    again(decide(&mut world, &put_one(2, &v7.to_string(), "1")));
}
