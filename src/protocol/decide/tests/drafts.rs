//! Drafts: what is recorded, on which condition, what a second write of the same resource makes of it, and what a commit
//! and its repetition do.

mod commits;

use super::*;
use crate::protocol::condition::TagList;
use crate::protocol::draft::Draft;
use crate::protocol::operation::INCREMENT;
use crate::protocol::patch::PatchKind;
use ChangeMethod::{Delete, Put};

const MERGE: ChangeMethod = ChangeMethod::Patch(PatchKind::Merge);
const K: &str = "/resources/a/k";

fn direct(
    number: u128,
    method: ChangeMethod,
    path: &str,
    fields: [&str; 2],
    body: &str,
) -> Command {
    let [if_match, if_none_match] =
        fields.map(|text| Vec::from_iter(Some(text).filter(|t| !t.is_empty())));
    let conditions = conditions(&if_match, &if_none_match);
    let content = Ok(Change {
        method,
        target: name(path),
        conditions: conditions.clone().unwrap_or_default(),
        media_type: operation::JSON.into(),
        body: (method != Delete).then(|| body.into()),
    });
    let action = Action::Draft {
        method,
        target: name(path),
        content,
    };
    let mut command = command(1, conditions, action);
    command.nonce = i64::try_from(number).unwrap();
    command
}

fn commit(if_match: &str) -> Command {
    let mut command = command(1, conditions(&[if_match], &[]), Action::Commit);
    command.nonce = 77;
    command
}

/// A world with an open transaction 1 and a resource `k`; the resource's tag.
fn prepared() -> (World, String) {
    let mut world = world();
    let create = write(50, Put, K, &[], &["*"], Some("{\"n\":1}"));
    let tag = tag_after(decide(&mut world, &create));
    open(&mut world, 1);
    (world, tag.to_string())
}

/// Records a change that must be taken; its tag, if it has one.
#[track_caller]
fn recorded(world: &mut World, command: &Command) -> Option<String> {
    let before = world.transaction(id(1)).unwrap().tag;
    let Done::Drafted { shown } = decide(world, command).unwrap() else {
        panic!()
    };
    let after = world.transaction(id(1)).unwrap().tag;
    assert_eq!(after.version, before.version + 1);
    assert_ne!(after.nonce, before.nonce);
    shown.map(|shown| shown.tag.to_string())
}

/// The recorded changes: method and condition.
fn kept(world: &World) -> Vec<String> {
    let draft = Draft::of(world.transaction(id(1)).unwrap()).unwrap();
    let list = |list: &Option<TagList>| list.as_ref().map(|list| list.canonical());
    let changes = draft.operation().changes;
    let changes = changes.iter().map(|change| {
        let conditions = &change.conditions;
        let (is, not) = (list(&conditions.if_match), list(&conditions.if_none_match));
        let condition = is.unwrap_or_else(|| format!("not {}", not.unwrap()));
        format!(
            "{} {}: {condition}",
            change.method.as_str(),
            change.target.key
        )
    });
    changes.collect()
}

/// What a first write, if any, and a second one of one resource leave in the draft. `{own}` is the resource's tag, `{view}`
/// the one that the first write was answered with.
#[test]
fn one_change_of_a_resource_is_kept_and_the_first_condition_with_it() {
    let save = |method: &str, condition: &str| {
        let body = if method == "PUT" { ",\"body\":7" } else { "" };
        format!(
            r#"{{"state":"open","changes":[{{"method":"{method}","target":"{K}",{condition}{body}}}]}}"#
        )
    };
    let gone = "/resources/a/none";
    let absent = format!(
        r#"{{"state":"open","changes":[{{"method":"GET","target":"{gone}","if_none_match":"*"}}]}}"#
    );
    let asserted = save("GET", r#""if_match":"*""#);
    type Row<'a> = (&'a str, Option<Write<'a>>, Write<'a>, Result<&'a str, Slug>);
    type Write<'a> = (ChangeMethod, &'a str, [&'a str; 2]);
    let none: Option<Write> = None;
    #[rustfmt::skip]
    let table: Vec<Row<'_>> = vec![
        ("", none, (Put, K, ["{own}", ""]), Ok("PUT k: {own}")),
        ("", none, (Put, K, ["*", ""]), Ok("PUT k: *")),
        ("", none, (Put, K, ["\"x\"", ""]), Err(Slug::StaleResource)),
        ("", none, (Put, K, ["W/{own}", ""]), Err(Slug::WeakEtag)),
        ("", none, (Put, K, ["", "*"]), Err(Slug::StaleResource)),
        ("", none, (Put, K, ["", "{own}"]), Err(Slug::PreconditionRequired)),
        ("", none, (Put, K, ["*", "\"x\""]), Err(Slug::MalformedRequest)),
        ("", none, (Put, K, ["bad", ""]), Err(Slug::MalformedRequest)),
        ("", none, (Put, gone, ["", "*"]), Ok("PUT none: not *")),
        ("", none, (Put, gone, ["*", ""]), Err(Slug::StaleResource)),
        ("", none, (MERGE, K, ["{own}", ""]), Ok("PATCH k: {own}")),
        ("", none, (MERGE, K, ["", "*"]), Err(Slug::StaleResource)),
        ("", none, (MERGE, gone, ["bad", ""]), Err(Slug::NotFound)),
        ("", none, (Delete, K, ["{own}", ""]), Ok("DELETE k: {own}")),
        ("", none, (Delete, gone, ["", ""]), Err(Slug::NotFound)),
        ("", Some((Put, K, ["{own}", ""])), (Put, K, ["{view}", ""]), Ok("PUT k: {own}")),
        ("", Some((Put, K, ["{own}", ""])), (Put, K, ["*", ""]), Ok("PUT k: {own}")),
        ("", Some((Put, K, ["{own}", ""])), (Put, K, ["{own}", ""]), Err(Slug::StaleResource)),
        ("", Some((Put, K, ["{own}", ""])), (Put, K, ["", "*"]), Err(Slug::StaleResource)),
        ("", Some((Put, K, ["{own}", ""])), (Put, K, ["W/{view}", ""]), Err(Slug::WeakEtag)),
        ("", Some((Put, K, ["*", ""])), (Put, K, ["{view}", ""]), Ok("PUT k: *")),
        ("", Some((Put, K, ["*", ""])), (Delete, K, ["{view}", ""]), Ok("DELETE k: *")),
        ("", Some((Put, K, ["*", ""])), (Delete, K, ["{own}", ""]), Err(Slug::StaleResource)),
        ("", Some((Put, K, ["*", ""])), (MERGE, K, ["{view}", ""]), Err(Slug::PatchConflict)),
        ("", Some((Put, K, ["*", ""])), (MERGE, K, ["bad", ""]), Err(Slug::PatchConflict)),
        ("", Some((MERGE, K, ["{own}", ""])), (Put, K, ["{view}", ""]), Ok("PUT k: {own}")),
        ("", Some((MERGE, K, ["{own}", ""])), (Put, K, ["{own}", ""]), Err(Slug::StaleResource)),
        ("", Some((MERGE, K, ["{own}", ""])), (MERGE, K, ["{view}", ""]), Err(Slug::PatchConflict)),
        ("", Some((MERGE, K, ["{own}", ""])), (Delete, K, ["{view}", ""]), Ok("DELETE k: {own}")),
        ("", Some((Delete, K, ["{own}", ""])), (Put, K, ["", "*"]), Ok("PUT k: {own}")),
        ("", Some((Delete, K, ["{own}", ""])), (Put, K, ["*", ""]), Err(Slug::StaleResource)),
        ("", Some((Delete, K, ["{own}", ""])), (Put, K, ["{own}", ""]), Err(Slug::StaleResource)),
        ("", Some((Delete, K, ["{own}", ""])), (Delete, K, ["*", ""]), Err(Slug::NotFound)),
        ("", Some((Delete, K, ["{own}", ""])), (MERGE, K, ["*", ""]), Err(Slug::NotFound)),
        ("", Some((Put, gone, ["", "*"])), (Delete, gone, ["{view}", ""]), Ok("")),
        ("", Some((Put, gone, ["", "*"])), (Put, gone, ["{view}", ""]), Ok("PUT none: not *")),
        ("", Some((Put, gone, ["", "*"])), (Put, gone, ["", "*"]), Err(Slug::StaleResource)),
        (&asserted, none, (Put, K, ["{own}", ""]), Ok("PUT k: *")),
        (&asserted, none, (MERGE, K, ["{own}", ""]), Ok("PATCH k: *")),
        (&asserted, none, (Delete, K, ["{own}", ""]), Ok("DELETE k: *")),
        (&asserted, none, (Put, K, ["\"x\"", ""]), Err(Slug::StaleResource)),
        (&absent, none, (Put, gone, ["", "*"]), Ok("PUT none: not *")),
        (&absent, none, (Put, gone, ["*", ""]), Err(Slug::StaleResource)),
        (&absent, none, (Delete, gone, ["*", ""]), Err(Slug::NotFound)),
    ];
    for (saved, first, second, expected) in table {
        let (mut world, own) = prepared();
        if !saved.is_empty() {
            decide(&mut world, &put(1, &["*"], &[], saved)).unwrap();
        }
        let mut view = None;
        let fill = |text: &str, view: &Option<String>| {
            text.replace("{own}", &own)
                .replace("{view}", view.as_deref().unwrap_or_default())
        };
        if let Some((method, path, fields)) = first {
            let fields = fields.map(|text| fill(text, &None));
            let first = direct(60, method, path, [&fields[0], &fields[1]], "{\"n\":2}");
            view = recorded(&mut world, &first);
        }
        let (method, path, fields) = second;
        let what = format!("{saved} {first:?} {second:?}");
        let fields = fields.map(|text| fill(text, &view));
        let second = direct(61, method, path, [&fields[0], &fields[1]], "{\"n\":3}");
        let before = (world.transaction(id(1)).cloned(), kept(&world));
        match expected {
            Ok(expected) => {
                let tag = recorded(&mut world, &second);
                assert_eq!(kept(&world).join(","), fill(expected, &view), "{what}");
                assert_eq!(tag.is_some(), method != Delete, "{what}");
                assert!(tag.is_none() || tag != view, "{what}");
            }
            Err(slug) => {
                let problem = refused(decide(&mut world, &second));
                assert_eq!(problem.slug, slug, "{what}: {}", problem.detail);
                assert_eq!((world.transaction(id(1)).cloned(), kept(&world)), before);
            }
        }
        assert_eq!(
            world.writes().versions.len(),
            1,
            "nothing is applied: {what}"
        );
    }
}

#[test]
fn a_stale_write_of_what_the_draft_changes_is_told_the_drafts_tag_and_body() {
    let (mut world, own) = prepared();
    let view = recorded(&mut world, &direct(60, Put, K, [&own, ""], "{\"n\":2}"));
    let mut stale = direct(61, Put, K, [&own, ""], "{\"n\":3}");
    stale.representation = true;
    let problem = refused(decide(&mut world, &stale));
    let conflict = &problem.conflicts[0];
    assert_eq!(conflict.draft.map(|tag| tag.to_string()), view);
    assert_eq!(conflict.body.as_deref(), Some("{\"n\":2}"));
    assert_eq!(conflict.transaction, Some(id(1)));
    assert!(
        problem
            .detail
            .contains(&format!("If-Match: {}", view.unwrap()))
    );
}

#[test]
fn a_patch_that_does_not_fit_or_is_not_safe_to_repeat_is_not_recorded() {
    let (mut world, own) = prepared();
    let increment = ChangeMethod::Patch(PatchKind::Increment);
    for (tag, body, slug) in [
        ("*", "{\"n\":1}", Slug::PreconditionRequired),
        (&*own, "{\"n\":{\"m\":1}}", Slug::InvalidOperation),
    ] {
        let mut patch = direct(60, increment, K, [tag, ""], body);
        if let Action::Draft {
            content: Ok(change),
            ..
        } = &mut patch.action
        {
            change.media_type = INCREMENT.into();
        }
        assert_eq!(refused(decide(&mut world, &patch)).slug, slug);
    }
    assert!(kept(&world).is_empty());
}

#[test]
fn a_draft_has_1000_changes_and_so_many_bytes_at_most() {
    let mut world = world();
    open(&mut world, 1);
    let changes: Vec<String> = (0..1000)
        .map(|n| {
            format!(
                r#"{{"method":"PUT","target":"/resources/a/n{n}","if_none_match":"*","body":1}}"#
            )
        })
        .collect();
    let save = format!(r#"{{"state":"open","changes":[{}]}}"#, changes.join(","));
    decide(&mut world, &put(1, &["*"], &[], &save)).unwrap();
    let more = direct(60, Put, "/resources/a/more", ["", "*"], "1");
    assert_eq!(
        refused(decide(&mut world, &more)).slug,
        Slug::InvalidOperation
    );
    recorded(
        &mut world,
        &direct(61, Put, "/resources/a/n999", ["*", ""], "2"),
    );
    world.body_bytes_max = 1;
    let longer = direct(62, Put, "/resources/a/n999", ["*", ""], "22");
    assert_eq!(
        refused(decide(&mut world, &longer)).slug,
        Slug::ContentTooLarge
    );
    recorded(
        &mut world,
        &direct(63, Delete, "/resources/a/n999", ["*", ""], ""),
    );
    assert_eq!(kept(&world).len(), 999);
}

#[test]
fn a_run_that_finds_its_own_change_succeeds_again() {
    let (mut world, own) = prepared();
    let first = direct(60, Put, K, [&own, ""], "{\"n\":2}");
    let tag = recorded(&mut world, &first);
    let before = world.transaction(id(1)).cloned();
    let Done::Drafted { shown } = decide(&mut world, &first).unwrap() else {
        panic!()
    };
    assert_eq!(shown.map(|shown| shown.tag.to_string()), tag);
    assert_eq!(world.transaction(id(1)).cloned(), before);
}
