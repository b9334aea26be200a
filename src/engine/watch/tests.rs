//! Waiters and commits, without a thread and a database.
#![allow(clippy::unwrap_used)]
use uuid::Uuid;

use super::*;

/// Without a thread: what is to be read stays to be seen.
fn watches(waiters_max: usize) -> (Watches, Receiver<()>) {
    let (wake, wakes) = crossbeam_channel::bounded(1);
    let registry = Arc::new(Registry::default());
    let watches = Watches {
        registry,
        wake,
        waiters_max,
    };
    (watches, wakes)
}

fn id(number: u128) -> TransactionId {
    TransactionId::from_uuid(Uuid::from_u128(number))
}

#[test]
fn a_commit_has_what_is_waited_for_read_once_and_nothing_else() {
    let (watches, wakes) = watches(9);
    let tenant = Tenant::default();
    let written = |number| watches.written(std::iter::once((&tenant, id(number))));
    written(1);
    assert!(wakes.try_recv().is_err(), "nobody waits");
    let (_one, _same) = (watches.watch(&tenant, id(1)), watches.watch(&tenant, id(1)));
    wakes.try_recv().unwrap();
    written(2);
    assert!(wakes.try_recv().is_err(), "nobody waits for this one");
    written(1);
    written(1);
    wakes.try_recv().unwrap();
    let taken = take_due(&watches.registry);
    assert_eq!(taken, Some((1, (tenant.clone(), vec![id(1)]))));
    assert_eq!(take_due(&watches.registry), None);
    written(1);
    assert!(
        take_due(&watches.registry).is_some(),
        "it may be newer than what is read now"
    );
}

#[test]
fn a_place_is_free_again_when_its_waiter_is_gone() {
    let (watches, _wakes) = watches(2);
    let watch = |number| watches.watch(&Tenant::default(), id(number));
    let (one, two) = (watch(1), watch(1));
    assert!(one.is_some() && two.is_some() && watch(2).is_none());
    drop(one);
    let three = watch(2);
    assert!(three.is_some() && watch(3).is_none());
    drop((two, three));
    assert!(watches.registry.entries().all.is_empty());
    watches.stop();
    assert!(watch(1).is_none(), "the server is stopping");
}

#[test]
fn the_oldest_version_that_a_waiter_knows_is_compared_with() {
    let (watches, _wakes) = watches(2);
    let watch = || watches.watch(&Tenant::default(), id(1)).unwrap();
    let (mut newer, mut older) = (watch(), watch());
    newer.knows(2);
    older.knows(1);
    newer.knows(2);
    let place = (Tenant::default(), id(1));
    assert_eq!(watches.registry.entries().all[&place].known, Some(1));
}
