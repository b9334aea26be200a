//! The decisions, one by one, on states made by hand: which refusal comes first, and what a success writes.

mod patches;

use std::sync::Arc;

use super::*;
use crate::protocol::clock::Timestamp;
use crate::protocol::command::PutContent;
use crate::protocol::name::{ResourceName, Tenant, TransactionId};
use crate::protocol::operation::{self, Change};
use crate::protocol::state::{State, Transaction};
use crate::protocol::tag::StateTag;

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn world() -> World {
    World::new(crate::protocol::world::Ground::at(NOW), 1 << 20)
}

fn id(number: u128) -> TransactionId {
    // Version 7, variant 10, of the second before NOW.
    let time: u128 = 1_799_999_999_000 << 80;
    TransactionId::from_uuid(uuid::Uuid::from_u128(time | 0x7 << 76 | 0x2 << 62 | number))
}

fn name(path: &str) -> ResourceName {
    ResourceName::parse_path(path).unwrap()
}

fn conditions(if_match: &[&str], if_none_match: &[&str]) -> Result<Conditions, ConditionFault> {
    let if_match: Vec<&[u8]> = if_match.iter().map(|value| value.as_bytes()).collect();
    let if_none_match: Vec<&[u8]> = if_none_match.iter().map(|value| value.as_bytes()).collect();
    Conditions::parse(&if_match, &if_none_match, &[], &[])
}

fn command(
    number: u128,
    conditions: Result<Conditions, ConditionFault>,
    action: Action,
) -> Command {
    Command {
        tenant: Tenant::default(),
        id: id(number),
        nonce: i64::try_from(number).unwrap(),
        representation: false,
        strict: false,
        conditions,
        action,
    }
}

fn write(
    number: u128,
    method: ChangeMethod,
    path: &str,
    if_match: &[&str],
    if_none_match: &[&str],
    body: Option<&str>,
) -> Command {
    let conditions = conditions(if_match, if_none_match);
    let target = name(path);
    let change = Change {
        method,
        target: target.clone(),
        conditions: conditions.clone().unwrap_or_default(),
        media_type: operation::JSON.into(),
        body: body.map(Arc::from),
    };
    command(
        number,
        conditions,
        Action::Write {
            method,
            target,
            content: Ok(Operation::new(vec![change])),
        },
    )
}

fn put(number: u128, if_match: &[&str], if_none_match: &[&str], content: &str) -> Command {
    let conditions = conditions(if_match, if_none_match);
    let naming = !if_none_match.is_empty();
    command(
        number,
        conditions,
        Action::Put(operation::parse_put(content.as_bytes(), naming)),
    )
}

#[track_caller]
fn refused(verdict: Verdict) -> Problem {
    verdict.map(|done| panic!("{done:?}")).unwrap_err()
}

#[track_caller]
fn tag_after(verdict: Verdict) -> StateTag {
    match verdict.unwrap() {
        Done::Written { resource, .. } => resource.tag,
        other => panic!("{other:?}"),
    }
}

fn open(world: &mut World, number: u128) -> Transaction {
    match decide(
        world,
        &command(
            number,
            conditions(&[], &[]),
            Action::Create(Ok(Default::default())),
        ),
    )
    .unwrap()
    {
        Done::Created(transaction) => transaction,
        other => panic!("{other:?}"),
    }
}

#[test]
fn later_commands_of_a_batch_see_what_earlier_ones_did() {
    let mut world = world();
    let first = tag_after(decide(
        &mut world,
        &write(
            1,
            ChangeMethod::Put,
            "/resources/a/k",
            &[],
            &["*"],
            Some("1"),
        ),
    ));
    let again = refused(decide(
        &mut world,
        &write(
            2,
            ChangeMethod::Put,
            "/resources/a/k",
            &[],
            &["*"],
            Some("2"),
        ),
    ));
    assert_eq!(again.slug, Slug::StaleResource);
    assert_eq!(again.conflicts[0].current, Some(first));
    assert_eq!(again.conflicts[0].transaction, Some(id(1)));
    let second = tag_after(decide(
        &mut world,
        &write(
            3,
            ChangeMethod::Put,
            "/resources/a/k",
            &[&first.to_string()],
            &[],
            Some("3"),
        ),
    ));
    assert_eq!(
        second,
        StateTag {
            version: 2,
            nonce: 3
        }
    );
    assert_eq!(
        world.writes().versions.len(),
        2,
        "every state on the way is a version"
    );
    assert_eq!(world.writes().heads.len(), 1, "the head is written once");
    assert_eq!(world.operations(), 2);
}

#[test]
fn a_refused_command_leaves_nothing_behind() {
    let mut world = world();
    tag_after(decide(
        &mut world,
        &write(
            1,
            ChangeMethod::Put,
            "/resources/a/k",
            &[],
            &["*"],
            Some("{}"),
        ),
    ));
    let transaction = open(&mut world, 2);
    let versions = world.writes().versions.len();
    let content = r#"{"changes":[{"method":"PUT","target":"/resources/a/new","if_none_match":"*","body":1},
        {"method":"PUT","target":"/resources/a/k","if_match":"\"old\"","body":2},
        {"method":"DELETE","target":"/resources/a/none","if_match":"*"}]}"#;
    let problem = refused(decide(
        &mut world,
        &put(2, &[&transaction.tag.to_string()], &[], content),
    ));
    assert_eq!(problem.slug, Slug::StaleResource);
    let stale: Vec<usize> = problem
        .conflicts
        .iter()
        .map(|conflict| conflict.change)
        .collect();
    assert_eq!(
        stale,
        [1, 2],
        "every false condition is named, true ones are not"
    );
    assert!(
        problem.detail.contains("If-Match: \"1."),
        "{}",
        problem.detail
    );
    assert_eq!(world.writes().versions.len(), versions);
    assert_eq!(
        world.transaction(transaction.id).unwrap().state,
        State::Open
    );
    assert!(world.resource(&name("/resources/a/new")).is_none());
}

#[test]
fn deletion_leaves_a_tombstone_and_versions_go_on() {
    let mut world = world();
    let path = "/resources/a/k";
    let first = tag_after(decide(
        &mut world,
        &write(1, ChangeMethod::Put, path, &[], &["*"], Some("1")),
    ));
    tag_after(decide(
        &mut world,
        &write(2, ChangeMethod::Delete, path, &["*"], &[], None),
    ));
    let gone = refused(decide(
        &mut world,
        &write(
            3,
            ChangeMethod::Delete,
            path,
            &[&first.to_string()],
            &[],
            None,
        ),
    ));
    assert_eq!(
        (gone.slug, gone.conflicts[0].transaction),
        (Slug::NotFound, Some(id(2)))
    );
    let third = tag_after(decide(
        &mut world,
        &write(4, ChangeMethod::Put, path, &[], &["*"], Some("1")),
    ));
    assert_eq!(third.version, 3);
}

#[test]
fn write_skew_is_impossible_within_a_batch_too() {
    let mut world = world();
    let a = tag_after(decide(
        &mut world,
        &write(
            1,
            ChangeMethod::Put,
            "/resources/a/a",
            &[],
            &["*"],
            Some("1"),
        ),
    ));
    let b = tag_after(decide(
        &mut world,
        &write(
            2,
            ChangeMethod::Put,
            "/resources/a/b",
            &[],
            &["*"],
            Some("1"),
        ),
    ));
    let operation = |read: &str, read_tag: StateTag, written: &str, tag: StateTag| {
        let quoted = |tag: StateTag| serde_json::Value::from(tag.to_string()).to_string();
        format!(
            r#"{{"changes":[{{"method":"GET","target":"{read}","if_match":{}}},{{"method":"PUT","target":"{written}","if_match":{},"body":0}}]}}"#,
            quoted(read_tag),
            quoted(tag)
        )
    };
    let one = put(
        3,
        &[],
        &["*"],
        &operation("/resources/a/a", a, "/resources/a/b", b),
    );
    let two = put(
        4,
        &[],
        &["*"],
        &operation("/resources/a/b", b, "/resources/a/a", a),
    );
    assert!(decide(&mut world, &one).is_ok());
    assert_eq!(refused(decide(&mut world, &two)).slug, Slug::StaleResource);
    assert!(
        world.transaction(id(4)).is_none(),
        "a refused id stays unused"
    );
}

#[test]
fn one_batch_may_renew_apply_and_repeat() {
    let mut world = world();
    let transaction = open(&mut world, 1);
    let first = transaction.tag.to_string();
    let renewed = decide(
        &mut world,
        &command(1, conditions(&[&first], &[]), Action::Renew(Ok(60))),
    )
    .unwrap();
    let Done::Renewed(renewed) = renewed else {
        panic!("{renewed:?}")
    };
    assert_eq!(renewed.expires_at, NOW.plus_seconds(60));
    let content = r#"{"changes":[{"method":"PUT","target":"/resources/a/k","if_none_match":"*","body":{"b":1.0,"a":2}}]}"#;
    assert_eq!(
        refused(decide(&mut world, &put(1, &[&first], &[], content))).slug,
        Slug::StaleTransaction
    );
    let applied = decide(
        &mut world,
        &put(1, &[&renewed.tag.to_string()], &[], content),
    )
    .unwrap();
    assert!(matches!(applied, Done::Applied(_)));
    let spelled = r#"{ "changes" : [ {"body":{"a":2e0, "b":1}, "if_none_match":"*", "target":"/resources/a/%6B","method":"PUT"} ] }"#;
    assert!(matches!(
        decide(&mut world, &put(1, &[&first], &[], spelled)).unwrap(),
        Done::Replayed(_)
    ));
    assert_eq!(world.writes().versions.len(), 1);
    assert_eq!(
        refused(decide(
            &mut world,
            &command(1, conditions(&["*"], &[]), Action::Cancel(Ok(())))
        ))
        .slug,
        Slug::TransactionFinished
    );
}

#[test]
fn expired_and_old_ids_are_gone_for_every_method() {
    let mut world = world();
    let mut expired = open(&mut world, 1);
    expired.expires_at = NOW;
    world.load_transaction(expired);
    world.purge_horizon = NOW;
    let content =
        r#"{"changes":[{"method":"PUT","target":"/resources/a/k","if_none_match":"*","body":1}]}"#;
    for (number, slug) in [(1, Slug::TransactionExpired), (2, Slug::Gone)] {
        for action in [
            Action::Cancel(Ok(())),
            Action::Renew(Ok(1)),
            Action::Put(operation::parse_put(content.as_bytes(), false)),
            Action::Put(Err(Problem::new(Slug::ContentTooLarge, ""))),
        ] {
            for conditions in [
                conditions(&["*"], &[]),
                conditions(&["bad"], &[]),
                conditions(&[], &[]),
            ] {
                assert_eq!(
                    refused(decide(
                        &mut world,
                        &command(number, conditions, action.clone())
                    ))
                    .slug,
                    slug
                );
            }
        }
    }
}

#[test]
fn a_reference_is_shared_while_open_and_free_after_expiry() {
    let mut world = world();
    let new = |reference: &str| crate::protocol::command::NewTransaction {
        reference: Some(reference.into()),
        ..Default::default()
    };
    let create = |number, reference: &str| {
        command(
            number,
            conditions(&[], &[]),
            Action::Create(Ok(new(reference))),
        )
    };
    assert!(matches!(
        decide(&mut world, &create(1, "r")).unwrap(),
        Done::Created(_)
    ));
    let Done::Shared(shared) = decide(&mut world, &create(2, "r")).unwrap() else {
        panic!()
    };
    assert_eq!(shared.id, id(1));
    let content = PutContent {
        operation: Some(Operation::new(vec![])),
        new: new("r"),
    };
    let named = command(3, conditions(&[], &["*"]), Action::Put(Ok(content)));
    let problem = refused(decide(&mut world, &named));
    assert_eq!(
        (problem.slug, problem.location),
        (Slug::DuplicateReference, Some(id(1).path()))
    );
    let mut expired = shared;
    expired.expires_at = NOW;
    let mut world = self::world();
    world.load_transaction(expired);
    assert!(matches!(
        decide(&mut world, &create(4, "r")).unwrap(),
        Done::Created(_)
    ));
    assert_eq!(
        world.transaction(id(1)).unwrap().state,
        State::Expired,
        "the index lets go of it"
    );
}
