//! The shape of the code as a test of milliseconds: who may know of whom, what is said where, how long a file may be.
//!
//! Each failure names the place and what to use instead. A rule is loosened here, with a reason, or not at all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

/// Lines that a file may have; more is two files.
const LINES_MAX: usize = 400;

/// Files that are longer, and how long they may be. Numbers here only shrink.
const ALLOWANCES: &[(&str, usize)] = &[];

/// A file of ours.
struct Source {
    path: String,
    text: String,
}

/// What must not be found in the code below a folder, and what takes its place.
struct Ban {
    below: &'static str,
    except: &'static [&'static str],
    words: &'static [&'static str],
    instead: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        below: "src/protocol/",
        except: &[],
        words: &["crate::store", "crate::engine", "crate::http", "crate::cli"],
        instead: "protocol/ is the lowest layer: let the caller pass what is needed as an argument",
    },
    Ban {
        below: "src/protocol/",
        except: &[],
        words: &[
            "actix",
            "diesel",
            "tokio",
            "std::fs",
            "std::net",
            "std::thread",
            "std::env",
        ],
        instead: "protocol/ does no I/O: do it in http/, engine/ or store/, and pass the result",
    },
    Ban {
        below: "src/protocol/",
        except: &[],
        words: &[
            "SystemTime",
            "Instant",
            "now_utc",
            "now_v7",
            "new_v4",
            "rand::",
        ],
        instead: "protocol/ reads no clock and draws no random number: take World::now, Command::id and Command::nonce",
    },
    Ban {
        below: "src/store/",
        except: &[],
        words: &["crate::http", "crate::engine", "crate::cli", "actix"],
        instead: "store/ knows protocol/ only: return StoreError or a type of protocol/ and let engine/ decide",
    },
    Ban {
        below: "src/engine/",
        except: &[],
        words: &["crate::http", "crate::cli", "actix"],
        instead: "engine/ knows store/ and protocol/ only: return a Verdict or a Problem and let http/ present it",
    },
    Ban {
        below: "src/http/",
        except: &[],
        words: &["crate::store", "crate::cli", "diesel"],
        instead: "http/ knows engine/ and protocol/ only: call a method of Engine",
    },
    Ban {
        below: "src/",
        except: &["src/store/"],
        words: &[
            "SELECT ",
            "INSERT INTO",
            "DELETE FROM",
            "UPDATE resources",
            "UPDATE transactions",
            "ON CONFLICT",
            "FOR UPDATE",
            "FOR SHARE",
            "LOCK TABLE",
            "sql_query",
            "sql_types",
            "diesel::dsl",
        ],
        instead: "SQL is written in store/ only: give the statement a function there",
    },
    Ban {
        below: "src/",
        except: &["src/store/pool.rs"],
        words: &[
            "batch_execute(\"BEGIN",
            "batch_execute(\"START",
            "batch_execute(\"COMMIT",
            "build_transaction",
            "begin_transaction",
        ],
        instead: "write transactions are opened in one place: Pool::write",
    },
    Ban {
        below: "src/",
        except: &["src/store/migrate.rs"],
        words: &[".transaction(|", ".transaction::<"],
        instead: "write transactions are opened in one place: Pool::write",
    },
    Ban {
        below: "src/",
        except: &[
            "src/cli.rs",
            "src/cli/",
            "src/http/",
            "src/protocol/problem.rs",
        ],
        words: &["StatusCode"],
        instead: "status codes are given in protocol/problem and http/ only: return a Problem or a Done",
    },
    Ban {
        below: "src/",
        except: &[],
        words: &[
            ".unwrap()",
            ".expect(",
            "panic!(",
            "unreachable!(",
            "todo!(",
            "unimplemented!(",
            "dbg!(",
        ],
        instead: "return an error, with `?`, or a value that stands for the case (`let … else`, `unwrap_or_default`)",
    },
    Ban {
        below: "src/",
        except: &["src/cli.rs", "src/cli/"],
        words: &["println!(", "eprintln!("],
        instead: "standard output belongs to cli; log with tracing",
    },
    Ban {
        below: "src/",
        except: &[],
        words: &["pg_advisory_lock", "LISTEN ", "NOTIFY ", "nextval("],
        instead: "no session state in Postgres: lock rows, or pg_advisory_xact_lock in a migration",
    },
];

#[test]
fn layers_know_only_those_below_and_each_thing_has_its_place() {
    let mut faults = Vec::new();
    for source in sources("src") {
        if source.is_test() {
            continue;
        }
        let bans = BANS.iter().filter(|ban| {
            source.path.starts_with(ban.below)
                && !ban.except.iter().any(|path| source.path.starts_with(path))
        });
        for ban in bans {
            for (number, line) in source.code() {
                for word in ban.words.iter().filter(|word| holds(line, word)) {
                    faults.push(format!(
                        "{}:{number}: `{word}`: {}",
                        source.path, ban.instead
                    ));
                }
            }
        }
    }
    none(&faults);
}

#[test]
fn files_are_short() {
    let mut faults = Vec::new();
    for source in sources("src").into_iter().chain(sources("tests")) {
        let lines = source.text.lines().count();
        let allowance = ALLOWANCES
            .iter()
            .find(|(path, _)| *path == source.path)
            .map(|(_, lines)| *lines);
        let most = allowance.unwrap_or(LINES_MAX);
        if lines > most {
            faults.push(format!(
                "{}: {lines} lines, {most} are allowed: move a part into a module of its own",
                source.path
            ));
        }
        if allowance.is_some() && lines <= LINES_MAX {
            faults.push(format!(
                "{}: short enough now: take its line out of ALLOWANCES in tests/tidy.rs",
                source.path
            ));
        }
    }
    for (path, _) in ALLOWANCES
        .iter()
        .filter(|(path, _)| !root().join(path).exists())
    {
        faults.push(format!(
            "{path} is gone: take its line out of ALLOWANCES in tests/tidy.rs"
        ));
    }
    none(&faults);
}

#[test]
fn every_module_says_what_it_is_for() {
    let without = |source: &Source| !source.text.starts_with("//! ");
    let faults: Vec<String> = sources("src")
        .into_iter()
        .chain(sources("tests"))
        .filter(without)
        .map(|source| {
            format!(
                "{}: begin it with `//!`: what it does, why, and what it must not know",
                source.path
            )
        })
        .collect();
    none(&faults);
}

#[test]
fn unsafe_code_is_forbidden_for_the_whole_crate() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(
        manifest.contains("unsafe_code = \"forbid\""),
        "Cargo.toml: put unsafe_code = \"forbid\" under [lints.rust]"
    );
}

#[test]
fn every_migration_goes_forward_and_back() {
    let mut faults = Vec::new();
    let mut found = 0;
    for directory in fs::read_dir(root().join("migrations"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
    {
        found += 1;
        for name in ["up.sql", "down.sql"] {
            let statements = fs::read_to_string(directory.join(name)).unwrap_or_default();
            if statements
                .lines()
                .all(|line| line.trim().is_empty() || line.trim().starts_with("--"))
            {
                faults.push(format!(
                    "{}: write {name}: a release can be taken back",
                    directory.display()
                ));
            }
        }
    }
    assert!(found > 0, "no migration found");
    none(&faults);
}

#[test]
fn the_rules_see_what_they_forbid() {
    let text = "//! Words.\n\nuse diesel::prelude::*; // bad\n// diesel\nlet url = \"http://diesel\";\n#[cfg(test)]\nmod tests;\nx.unwrap();\n\
                #[cfg(test)]\nmod tests {\n    y.unwrap();\n}\n";
    let source = Source {
        path: "src/protocol/x.rs".into(),
        text: text.into(),
    };
    let seen = |word: &str| {
        source
            .code()
            .iter()
            .filter(|(_, line)| holds(line, word))
            .map(|(number, _)| *number)
            .collect::<Vec<_>>()
    };
    assert_eq!(seen("diesel"), [3, 5]);
    assert_eq!(seen(".unwrap()"), [8]);
    assert!(
        holds("let now = Instant::now();", "Instant")
            && !holds("InstantiatedCase", "Instant")
            && !holds("operand::x", "rand::")
    );
}

impl Source {
    /// A module that only tests are in.
    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// Lines with their numbers, without comments and without modules of tests (which are last in a file).
    fn code(&self) -> Vec<(usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let mut code = Vec::new();
        let mut index = 0;
        while let Some(line) = lines.get(index) {
            if line.trim() == "#[cfg(test)]" {
                match lines.get(index + 1) {
                    Some(next) if next.trim_end().ends_with(';') => index += 2,
                    _ => break,
                }
                continue;
            }
            if !line.trim_start().starts_with("//") {
                code.push((index + 1, line.split(" // ").next().unwrap_or(line)));
            }
            index += 1;
        }
        code
    }
}

/// Whether a line holds a word that is not just a part of a longer one.
fn holds(line: &str, word: &str) -> bool {
    let part =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let (bytes, edges) = (
        line.as_bytes(),
        (part(word.as_bytes().first()), part(word.as_bytes().last())),
    );
    line.match_indices(word).any(|(at, _)| {
        let before = at.checked_sub(1).and_then(|index| bytes.get(index));
        let after = bytes.get(at + word.len());
        !(edges.0 && part(before) || edges.1 && part(after))
    })
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder.
fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(root())
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.push(Source {
                    path: name,
                    text: fs::read_to_string(&path).unwrap(),
                });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(!found.is_empty(), "no Rust file found");
    found
}

#[track_caller]
fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
