//! Whether CHANGELOG.md announces a break, and what to write into it if it does not.

use std::collections::BTreeSet;

use crate::rules::Break;

/// Those breaks that no entry under `## Unreleased`, `### Breaking` names in backticks.
pub(crate) fn unannounced<'a>(breaks: &'a [Break], changelog: &str) -> Vec<&'a Break> {
    let named = announced(changelog);
    let silent = |found: &&Break| !named.contains(found.subject.as_str());
    breaks.iter().filter(silent).collect()
}

/// What the failure says.
pub(crate) fn demand(silent: &[&Break], since: &str) -> String {
    let mut text =
        format!("\nopenapi.yaml breaks users of SDKs that were generated from {since}:\n");
    for found in silent {
        let Break {
            rule,
            subject,
            what,
        } = found;
        text += &format!("  {subject}: {what} ({})\n", rule.why());
    }
    text += "If one is not meant, undo it. If it is, announce it: in CHANGELOG.md, below the line `## Unreleased`, below the line\n\
             `### Breaking` (add it if it is missing), in entries that hold these names in backticks:\n";
    let subjects: BTreeSet<&str> = silent.iter().map(|found| found.subject.as_str()).collect();
    for subject in subjects {
        text += &format!("- `{subject}`: what is different, and what to do about it\n");
    }
    text
}

/// What stands in backticks in the entries under `## Unreleased`, `### Breaking`.
fn announced(changelog: &str) -> BTreeSet<&str> {
    let unreleased = section(changelog, "## ", "Unreleased");
    let breaking = section(unreleased, "### ", "Breaking");
    let entries = breaking.find("\n- ").map_or("", |start| &breaking[start..]);
    entries.split('`').skip(1).step_by(2).collect()
}

/// The text between a heading and the next one of its level.
fn section<'a>(text: &'a str, level: &str, heading: &str) -> &'a str {
    let mut bounds = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        match (bounds, line.strip_prefix(level)) {
            (None, Some(name)) if name.trim() == heading => bounds = Some(at + line.len() - 1),
            (Some(start), Some(_)) => return &text[start..at],
            _ => {}
        }
        at += line.len();
    }
    bounds.map_or("", |start| &text[start..])
}

#[cfg(test)]
mod tests {
    use super::{announced, demand, unannounced};
    use crate::rules::{Break, Rule};

    const CHANGELOG: &str = "# Changelog\n\n## Unreleased\n\n### Added\n\n- `getThing`\n\n### Breaking\n\n`intro` words\n\n\
        - `putThing`: a tag is needed,\n  in `Thing.tag` now.\n- More.\n\n### Fixed\n\n- `patchThing`\n\n## 0.1.0\n\n### Breaking\n\n- `old`\n";

    #[test]
    fn only_entries_under_unreleased_and_breaking_announce() {
        assert_eq!(
            announced(CHANGELOG).into_iter().collect::<Vec<_>>(),
            ["Thing.tag", "putThing"]
        );
        assert!(announced("# Changelog\n\n## Unreleased\n\n### Added\n\n- `x`\n").is_empty());
        assert!(announced("### Breaking\n\n- `x`\n").is_empty());
        assert!(announced("## Unreleased\n\n### Breaking\n\n- `x`").contains("x"));
    }

    #[test]
    fn the_failure_says_what_to_write_and_writing_it_helps() {
        let found = |subject: &str| Break {
            rule: Rule::MemberGone,
            subject: subject.into(),
            what: "gone".into(),
        };
        let breaks = [found("Thing.tag"), found("Thing"), found("putThing.tag")];
        let silent = unannounced(&breaks, CHANGELOG);
        assert_eq!(silent, [&breaks[1], &breaks[2]]);
        let demand = demand(&silent, "release 0.1.0");
        assert!(
            demand.contains("release 0.1.0")
                && demand.contains("Thing: gone (callers use it)")
                && demand.contains("`### Breaking`")
        );
        let lines: Vec<&str> = demand
            .lines()
            .filter(|line| line.starts_with("- "))
            .collect();
        let written = CHANGELOG.replace("- More.", &lines.join("\n"));
        assert!(unannounced(&breaks, &written).is_empty());
    }
}
