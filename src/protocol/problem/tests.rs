//! Every problem type has all that is told of it.

use super::*;

#[test]
fn every_slug_reads_back_and_has_a_page() {
    for slug in Slug::ALL {
        assert_eq!(Slug::parse(slug.as_str()), Some(slug));
        assert!(!slug.meaning().is_empty() && !slug.recovery().is_empty());
        assert_eq!(slug.repeatable(), slug.status() >= 500);
    }
}
