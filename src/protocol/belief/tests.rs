//! What is decided on beliefs is what looking would have decided, and where that is not certain, nothing is.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::protocol::name::Tenant;
use crate::protocol::operation::{self, Change, Operation};
use crate::protocol::patch::PatchKind;
use crate::protocol::schema::{CollectionSchemas, Schema};

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
const BODY_BYTES_MAX: usize = 1 << 20;

fn name(key: u8) -> ResourceName {
    ResourceName::parse_path(&format!("/resources/accounts/k{key}")).unwrap()
}

fn tag(version: i64) -> StateTag {
    StateTag {
        version,
        nonce: version * 17,
    }
}

fn id(number: u8) -> TransactionId {
    let time: u128 = 1_799_999_999_000 << 80;
    TransactionId::from_uuid(uuid::Uuid::from_u128(
        time | 0x7 << 76 | 0x2 << 62 | u128::from(number),
    ))
}

fn conditions(if_match: Option<String>, if_none_match: Option<&str>) -> Conditions {
    let if_match: Vec<&[u8]> = if_match.iter().map(|value| value.as_bytes()).collect();
    let if_none_match: Vec<&[u8]> = if_none_match.iter().map(|value| value.as_bytes()).collect();
    Conditions::parse(&if_match, &if_none_match, &[], &[]).unwrap()
}

fn change(method: ChangeMethod, key: u8, if_match: &str) -> Change {
    Change {
        method,
        target: name(key),
        conditions: conditions(Some(if_match.to_owned()), None),
        media_type: operation::JSON.into(),
        body: (method != ChangeMethod::Delete).then(|| Arc::from(r#"{"a":1}"#)),
    }
}

fn direct(number: u8, change: Change) -> Command {
    command(
        number,
        change.conditions.clone(),
        Action::Write {
            method: change.method,
            target: change.target.clone(),
            content: Ok(Operation::new(vec![change])),
        },
    )
}

fn naming(number: u8, changes: Vec<Change>) -> Command {
    let content = PutContent {
        operation: Some(Operation::new(changes)),
        draft: false,
        new: Default::default(),
    };
    command(
        number,
        conditions(None, Some("*")),
        Action::Put(Ok(content)),
    )
}

fn command(number: u8, conditions: Conditions, action: Action) -> Command {
    Command {
        tenant: Tenant::default(),
        id: id(number),
        nonce: i64::from(number) + 1000,
        representation: false,
        strict: false,
        conditions: Ok(conditions),
        key: None,
        action,
    }
}

fn attempt(commands: &[Command]) -> Option<Believed> {
    believe(
        commands,
        Ground::at(NOW),
        &Default::default(),
        BODY_BYTES_MAX,
    )
}

fn exact_put(key: u8, version: i64) -> Change {
    change(ChangeMethod::Put, key, &tag(version).to_string())
}

#[test]
fn one_exact_tag_is_a_belief() {
    let believed = attempt(&[direct(1, exact_put(1, 5))]).unwrap();
    assert_eq!(believed.states, BTreeMap::from([(name(1), tag(5))]));
    let written = &believed.world.writes().versions[0].resource;
    assert_eq!((written.tag.version, written.tag.nonce), (6, 1001));
    assert_eq!(written.updated_at, NOW);
}

#[test]
fn what_needs_a_look_is_no_belief() {
    let patch = ChangeMethod::Patch(PatchKind::Merge);
    let of = |method, if_match: &str| direct(1, change(method, 1, if_match));
    let own = tag(5).to_string();
    for (why, commands) in [
        ("the star tells no state", vec![of(ChangeMethod::Put, "*")]),
        (
            "two tags tell two",
            vec![of(ChangeMethod::Put, &format!("{own}, {}", tag(6)))],
        ),
        (
            "a weak tag never matches",
            vec![of(ChangeMethod::Put, &format!("W/{own}"))],
        ),
        ("no tag of ours", vec![of(ChangeMethod::Put, "\"abc\"")]),
        (
            "version 0 is nowhere",
            vec![of(ChangeMethod::Put, "\"0.0000000000000000\"")],
        ),
        (
            "versions end somewhere",
            vec![of(
                ChangeMethod::Put,
                "\"9223372036854775807.0000000000000001\"",
            )],
        ),
        ("a patch needs the document", vec![of(patch, &own)]),
        (
            "an assertion writes nothing",
            vec![naming(1, vec![change(ChangeMethod::Get, 1, &own)])],
        ),
        (
            "the second is stale after the first",
            vec![direct(1, exact_put(1, 5)), direct(2, exact_put(1, 5))],
        ),
        (
            "two believe different things",
            vec![direct(1, exact_put(1, 5)), direct(2, exact_put(1, 6))],
        ),
        (
            "the second is a replay of the first",
            vec![
                naming(1, vec![exact_put(1, 5)]),
                naming(1, vec![exact_put(1, 5)]),
            ],
        ),
    ] {
        assert!(attempt(&commands).is_none(), "{why}");
    }
}

#[test]
fn a_context_made_by_post_and_a_reference_need_a_look() {
    let mut applied = naming(1, vec![exact_put(1, 5)]);
    applied.conditions = Ok(conditions(
        Some("\"1.0000000000000001.1\"".to_owned()),
        None,
    ));
    assert!(attempt(&[applied]).is_none());

    let mut referenced = naming(1, vec![exact_put(1, 5)]);
    if let Action::Put(Ok(content)) = &mut referenced.action {
        content.new.reference = Some("order-42".into());
    }
    assert!(attempt(&[referenced]).is_none());
}

#[test]
fn an_id_behind_the_horizon_is_not_believed() {
    let commands = [naming(1, vec![exact_put(1, 5)])];
    let ground = Ground {
        purge_horizon: NOW,
        ..Ground::at(NOW)
    };
    assert!(believe(&commands, ground, &Default::default(), BODY_BYTES_MAX).is_none());
}

#[test]
fn what_breaks_a_schema_current_or_pending_is_not_believed() {
    let schema = |text: &str| Arc::new(Schema::compile(text).unwrap());
    let believed = |current: &str, pending: &str| {
        let schemas = CollectionSchemas {
            current: Some((tag(1), schema(current))),
            pending: Some((7, schema(pending))),
        };
        let schemas = [(name(1).collection, schemas)].into_iter().collect();
        let schemas = Arc::new(Schemas::new(schemas));
        let commands = [direct(1, exact_put(1, 5))];
        believe(&commands, Ground::at(NOW), &schemas, BODY_BYTES_MAX).is_some()
    };
    assert!(believed("true", r#"{"required": ["a"]}"#));
    assert!(!believed("false", "true"));
    assert!(!believed("true", "false"), "somebody must take that down");
}

/// Changes to distinct resources, of which the world has what they believe, with bodies that nobody believes.
fn changes() -> impl Strategy<Value = Vec<(u8, i64, bool)>> {
    proptest::collection::btree_map(0u8..40, (1i64..1000, any::<bool>()), 1..12).prop_map(|map| {
        map.into_iter()
            .map(|(key, (version, delete))| (key, version, delete))
            .collect()
    })
}

proptest! {
    #[test]
    fn a_true_belief_decides_as_looking_does(changes in changes(), split in 0usize..12, representation: bool) {
        let mut seen = World::new(Ground::at(NOW), BODY_BYTES_MAX);
        let mut all = Vec::new();
        for (key, version, delete) in changes {
            seen.load_resource(name(key), Resource {
                tag: tag(version),
                deleted: false,
                media_type: "application/vnd.example+json".into(),
                body: Some("[1, 2]".into()),
                updated_at: Timestamp::from_micros(NOW.micros() - version),
                transaction: id(200),
            });
            let method = if delete { ChangeMethod::Delete } else { ChangeMethod::Put };
            all.push(change(method, key, &tag(version).to_string()));
        }
        let rest = all.split_off(split.min(all.len()));
        let mut commands: Vec<Command> = (0u8..).zip(all).map(|(number, change)| direct(number, change)).collect();
        if !rest.is_empty() {
            commands.push(naming(99, rest));
        }
        for command in &mut commands {
            command.representation = representation;
        }

        let believed = attempt(&commands).unwrap();
        let looked: Vec<Verdict> = commands.iter().map(|command| decide(&mut seen, command)).collect();

        prop_assert_eq!(format!("{:?}", believed.verdicts), format!("{looked:?}"));
        let (ours, theirs) = (believed.world.writes(), seen.writes());
        prop_assert_eq!(format!("{:?}", ours.versions), format!("{:?}", theirs.versions));
        prop_assert_eq!(&ours.heads, &theirs.heads);
        for id in theirs.transactions.keys() {
            prop_assert_eq!(
                format!("{:?}", believed.world.transaction(*id)),
                format!("{:?}", seen.transaction(*id))
            );
        }
        prop_assert_eq!(ours.transactions.len(), theirs.transactions.len());
    }
}
