//! Commits of drafts, whole saves, and the repetition of both.

use super::*;

#[test]
fn a_commit_judges_every_condition_again_and_is_repeated_under_its_own_tag_only() {
    let (mut world, own) = prepared();
    assert_eq!(
        refused(decide(&mut world, &commit("*"))).slug,
        Slug::InvalidOperation
    );
    recorded(&mut world, &direct(60, Put, K, [&own, ""], "{\"n\":2}"));
    recorded(
        &mut world,
        &direct(61, Put, "/resources/a/new", ["", "*"], "1"),
    );
    decide(
        &mut world,
        &write(51, Put, K, &[&own], &[], Some("{\"n\":9}")),
    )
    .unwrap();
    decide(
        &mut world,
        &write(52, Put, "/resources/a/new", &[], &["*"], Some("9")),
    )
    .unwrap();
    let from = world.transaction(id(1)).unwrap().tag.to_string();
    let stale = refused(decide(&mut world, &commit(&from)));
    assert_eq!(
        (stale.slug, stale.conflicts.len()),
        (Slug::StaleResource, 2)
    );
    assert!(
        stale.detail.contains("PUT the changes to this URI"),
        "{}",
        stale.detail
    );
    let open = world.transaction(id(1)).unwrap();
    assert_eq!(
        (open.state, open.tag.to_string()),
        (State::Open, from.clone())
    );
    decide(
        &mut world,
        &write(53, Delete, "/resources/a/new", &["*"], &[], None),
    )
    .unwrap();
    let now = world
        .resource(&name(K))
        .unwrap()
        .tag
        .to_string()
        .replace('"', "\\\"");
    let save = format!(
        r#"{{"state":"open","changes":[{{"method":"PUT","target":"{K}","if_match":"{now}","body":{{"n":2}}}},
        {{"method":"PUT","target":"/resources/a/new","if_none_match":"*","body":1}}]}}"#
    );
    assert_eq!(
        refused(decide(&mut world, &put(1, &["\"x\""], &[], &save))).slug,
        Slug::StaleTransaction
    );
    let Done::Saved(saved) = decide(&mut world, &put(1, &[&from], &[], &save)).unwrap() else {
        panic!()
    };
    for condition in ["\"x\"", "*", &*from] {
        let Done::Replayed(again) = decide(&mut world, &put(1, &[condition], &[], &save)).unwrap()
        else {
            panic!()
        };
        assert_eq!(again, saved);
    }
    assert_eq!(
        refused(decide(&mut world, &put(1, &[], &["*"], &save))).slug,
        Slug::StaleTransaction
    );
    let from = saved.tag.to_string();
    assert_eq!(
        refused(decide(&mut world, &commit("\"x\""))).slug,
        Slug::StaleTransaction
    );
    let Done::Applied(done) = decide(&mut world, &commit(&from)).unwrap() else {
        panic!()
    };
    let list = format!("\"x\", {from}");
    for (condition, strict, expected) in [
        (&*from, false, None),
        (&list, false, None),
        (&from, true, Some(Slug::AlreadyApplied)),
        ("*", false, Some(Slug::TransactionFinished)),
        (
            &done.tag.to_string(),
            false,
            Some(Slug::TransactionFinished),
        ),
        ("\"x\"", false, Some(Slug::StaleTransaction)),
        (&format!("W/{from}"), false, Some(Slug::WeakEtag)),
    ] {
        let mut again = commit(condition);
        again.strict = strict;
        match (decide(&mut world, &again), expected) {
            (Ok(Done::Replayed(again)), None) => assert_eq!(again, done),
            (Err(problem), Some(slug)) => assert_eq!(problem.slug, slug, "{condition}"),
            (other, _) => panic!("{condition}: {other:?}"),
        }
    }
    // The same operation by PUT is a repetition; the same draft is none any more.
    let whole = save.replace("\"state\":\"open\",", "");
    assert!(matches!(
        decide(&mut world, &put(1, &["\"x\""], &[], &whole)),
        Ok(Done::Replayed(_))
    ));
    assert_eq!(
        refused(decide(&mut world, &put(1, &["*"], &[], &save))).slug,
        Slug::TransactionFinished
    );
}

#[test]
fn what_a_put_applied_is_no_commit_of_a_draft() {
    let (mut world, own) = prepared();
    recorded(&mut world, &direct(60, Put, K, [&own, ""], "{\"n\":2}"));
    let from = world.transaction(id(1)).unwrap().tag.to_string();
    let other = format!(r#"{{"changes":[{{"method":"DELETE","target":"{K}","if_match":"*"}}]}}"#);
    assert!(matches!(
        decide(&mut world, &put(1, &[&from], &[], &other)),
        Ok(Done::Applied(_))
    ));
    assert!(world.resource(&name(K)).unwrap().deleted, "not the draft");
    assert_eq!(
        refused(decide(&mut world, &commit(&from))).slug,
        Slug::StaleTransaction
    );
    let late = direct(61, Put, K, ["bad", ""], "1");
    assert_eq!(
        refused(decide(&mut world, &late)).slug,
        Slug::TransactionFinished
    );
}
