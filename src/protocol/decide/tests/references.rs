//! Who has a reference.

use super::*;
use crate::protocol::command::PutContent;

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
            Action::Create(Ok(PutContent {
                new: new(reference),
                ..PutContent::default()
            })),
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
        ..PutContent::default()
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
