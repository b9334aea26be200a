//! Patches among the changes: judged after all conditions, each on what is there by then.

use super::*;
use crate::protocol::patch::PatchKind::{Increment, JsonPatch, Merge};

#[test]
fn patches_are_judged_after_all_conditions_and_named_by_their_place() {
    let mut world = world();
    tag_after(decide(
        &mut world,
        &write(
            1,
            ChangeMethod::Put,
            "/resources/a/k",
            &[],
            &["*"],
            Some(r#"{"n":1}"#),
        ),
    ));
    let transaction = open(&mut world, 2);
    let patch = |if_match: &str| {
        format!(
            r#"{{"changes":[{{"method":"PATCH","target":"/resources/a/k","if_match":{if_match},
            "content_type":"application/json-patch+json","body":[{{"op":"test","path":"/n","value":1.0}},{{"op":"remove","path":"/x"}}]}}]}}"#
        )
    };
    let tag = transaction.tag.to_string();
    let stale = refused(decide(
        &mut world,
        &put(2, &[&tag], &[], &patch("\"\\\"old\\\"\"")),
    ));
    assert_eq!(stale.slug, Slug::StaleResource);
    let conflict = refused(decide(&mut world, &put(2, &[&tag], &[], &patch("\"*\""))));
    assert_eq!(conflict.slug, Slug::PatchConflict);
    assert_eq!(conflict.errors[0].pointer, "#/changes/0/body/1");
}

/// A world with objects at these paths.
fn filled(bodies: &[(&str, &str)]) -> World {
    let mut world = world();
    for (number, (path, body)) in (1000..).zip(bodies) {
        let create = write(number, ChangeMethod::Put, path, &[], &["*"], Some(body));
        tag_after(decide(&mut world, &create));
    }
    world
}

fn change(path: &str, content_type: &str, body: &str) -> String {
    format!(
        r#"{{"method":"PATCH","target":"{path}","if_match":"*","content_type":"{content_type}","body":{body}}}"#
    )
}

fn attempt(world: &mut World, changes: &[String]) -> Verdict {
    let content = format!(r#"{{"changes":[{}]}}"#, changes.join(","));
    decide(world, &put(1, &[], &["*"], &content))
}

#[test]
fn increments_of_a_batch_add_up() {
    let mut world = filled(&[("/resources/a/k", r#"{"n":0.5}"#)]);
    for number in 1..=300 {
        let one = change(
            "/resources/a/k",
            operation::INCREMENT,
            r#"{"n":1,"m":-0.1}"#,
        );
        let content = format!(r#"{{"changes":[{one}]}}"#);
        decide(&mut world, &put(number, &[], &["*"], &content)).unwrap();
    }
    let resource = world.resource(&name("/resources/a/k")).unwrap();
    assert_eq!(resource.body.as_deref(), Some(r#"{"n":300.5,"m":-30.0}"#));
    assert_eq!(resource.tag.version, 301);
}

#[test]
fn the_first_patch_that_fails_says_which_problem_it_is_and_all_are_named() {
    let number = change(
        "/resources/a/text",
        operation::INCREMENT,
        r#"{"x":1,"s":1,"t":{}}"#,
    );
    let test = r#"[{"op":"test","path":"/n","value":2}]"#;
    let test = change("/resources/a/number", operation::JSON_PATCH, test);
    let (no_number, no_match) = (
        ["#/changes/0/body/s", "#/changes/0/body/t"],
        "#/changes/1/body/0",
    );
    let bodies = [
        ("/resources/a/text", r#"{"s":"","t":""}"#),
        ("/resources/a/number", r#"{"n":1}"#),
    ];
    let mut world = filled(&bodies);
    let problem = refused(attempt(&mut world, &[number.clone(), test.clone()]));
    let pointers: Vec<_> = problem.errors.iter().map(|error| &*error.pointer).collect();
    assert_eq!(problem.slug, Slug::InvalidOperation);
    assert_eq!(pointers, [no_number[0], no_number[1], no_match]);
    let problem = refused(attempt(&mut world, &[test, number]));
    let pointers: Vec<_> = problem.errors.iter().map(|error| &*error.pointer).collect();
    assert_eq!(problem.slug, Slug::PatchConflict);
    let expected = [
        "#/changes/0/body/0",
        "#/changes/1/body/s",
        "#/changes/1/body/t",
    ];
    assert_eq!(pointers, expected);
    let text = world.resource(&name("/resources/a/text")).unwrap();
    assert_eq!(
        text.body.as_deref(),
        Some(bodies[0].1),
        "nothing is applied"
    );
}

#[test]
fn places_told_of_are_bounded_but_no_patch_is_left_out() {
    let members = |value: &str| {
        let members: Vec<_> = (0..90).map(|n| format!("\"{n}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    };
    let paths: Vec<String> = (0..30).map(|n| format!("/resources/a/{n}")).collect();
    let text = members("\"\"");
    let bodies: Vec<_> = paths.iter().map(|path| (&**path, &*text)).collect();
    let mut world = filled(&bodies);
    let changes: Vec<_> = paths
        .iter()
        .map(|path| change(path, operation::INCREMENT, &members("1")))
        .collect();
    let problem = refused(attempt(&mut world, &changes));
    assert_eq!(problem.slug, Slug::InvalidOperation);
    assert_eq!(problem.errors.len(), 100 + 28);
    assert_eq!(
        problem.errors.last().unwrap().pointer,
        "#/changes/29/body/0"
    );
}

#[test]
fn a_direct_patch_that_is_not_safe_to_repeat_needs_a_tag_whatever_it_holds() {
    let mut world = filled(&[("/resources/a/k", r#"{"n":1}"#)]);
    for (kind, body, unsafe_to_repeat) in [
        (Merge, r#"{"n":2}"#, false),
        (JsonPatch, "[]", true),
        (Increment, r#"{"n":1}"#, true),
    ] {
        let method = ChangeMethod::Patch(kind);
        let verdict = decide(
            &mut world,
            &write(1, method, "/resources/a/k", &["*"], &[], Some(body)),
        );
        match verdict {
            Ok(_) => assert!(!unsafe_to_repeat, "{kind:?}"),
            Err(problem) => {
                assert!(unsafe_to_repeat, "{kind:?}");
                assert_eq!(problem.slug, Slug::PreconditionRequired);
                assert!(
                    problem.detail.contains("in a transaction"),
                    "{}",
                    problem.detail
                );
            }
        }
        // Content that cannot be read is looked at later still.
        let mut unread = write(1, method, "/resources/a/k", &["*"], &[], None);
        if let Action::Write { content, .. } = &mut unread.action {
            *content = Err(Problem::new(Slug::MalformedRequest, ""));
        }
        let expected = if unsafe_to_repeat {
            Slug::PreconditionRequired
        } else {
            Slug::MalformedRequest
        };
        assert_eq!(
            refused(decide(&mut world, &unread)).slug,
            expected,
            "{kind:?}"
        );
    }
    let tag = world
        .resource(&name("/resources/a/k"))
        .unwrap()
        .tag
        .to_string();
    let exact = write(
        2,
        ChangeMethod::Patch(Increment),
        "/resources/a/k",
        &[&tag],
        &[],
        Some(r#"{"n":-2.50}"#),
    );
    tag_after(decide(&mut world, &exact));
    let resource = world.resource(&name("/resources/a/k")).unwrap();
    assert_eq!(resource.body.as_deref(), Some(r#"{"n":-0.50}"#));
}
