//! Would openapi.yaml, as it is now, break those who use an SDK generated from the last release's? Then CHANGELOG.md says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "compatibility/changelog.rs"]
mod changelog;
#[path = "compatibility/comparison.rs"]
mod comparison;
#[path = "compatibility/planted.rs"]
mod planted;
#[path = "compatibility/rules.rs"]
mod rules;
#[path = "compatibility/schemas.rs"]
mod schemas;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

#[test]
fn what_breaks_users_of_sdks_is_announced() {
    let (version, released) = releases().pop().expect("docs/releases holds a release");
    let breaks = comparison::compare(&read(&released), &read(&root().join("openapi.yaml")));
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let silent = changelog::unannounced(&breaks, &changelog);
    assert!(
        silent.is_empty(),
        "{}",
        changelog::demand(&silent, &format!("release {}", name(version)))
    );
}

#[test]
fn each_release_stands_in_the_folder_of_its_name() {
    for (version, path) in releases() {
        let document = read(&path);
        assert_eq!(document["info"]["version"], name(version), "{path:?}");
        let paths = document["paths"].as_object().map(serde_json::Map::len);
        assert!(paths.is_some_and(|count| count > 0), "{path:?}");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_norway::from_str(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

type Version = [u64; 3];

fn name(version: Version) -> String {
    version.map(|number| number.to_string()).join(".")
}

/// The descriptions of all releases, the newest last.
fn releases() -> Vec<(Version, PathBuf)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("docs/releases")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let folder = path.file_name().unwrap().to_str().unwrap();
            let numbers: Vec<u64> = folder.split('.').flat_map(str::parse).collect();
            let version = Version::try_from(numbers)
                .unwrap_or_else(|_| panic!("{path:?}: name it X.Y.Z, as the release"));
            found.push((version, path.join("openapi.yaml")));
        }
    }
    found.sort();
    found
}
