//! Every problem type is whole.

use super::*;

#[test]
fn every_slug_reads_back_and_has_a_page() {
    for slug in Slug::ALL {
        assert_eq!(Slug::parse(slug.as_str()), Some(slug));
        assert!(!slug.meaning().is_empty() && !slug.recovery().is_empty());
        let busy = slug == Slug::TooManyRequests;
        assert_eq!(slug.repeatable(), busy || slug.status() >= 500);
    }
}
