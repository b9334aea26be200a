//! Arguments: what is wrong is one line and exit 2; help explains every flag and its environment variable.

use super::program::{check_refused, ifmatch, run};

#[test]
fn a_wrong_setting_is_one_line_and_exit_2() {
    let cases: [(&[&str], &[&str]); 19] = [
        (&[], &["ifmatch"]),
        (&["bake"], &["bake"]),
        (&["serve", "--unknown"], &["--unknown"]),
        (&["serve", "--listen"], &["--listen"]),
        (
            &["serve", "--listen", "0.0.0.0:0"],
            &["--listen", "0.0.0.0", "loopback"],
        ),
        (&["serve", "--listen", "[::]:0"], &["--listen", "loopback"]),
        (
            &["serve", "--listen", "127.0.0.1"],
            &["--listen", "127.0.0.1"],
        ),
        (
            &["serve", "--listen", "127.0.0.1:70000"],
            &["--listen", "70000"],
        ),
        (&["serve", "--max-body", "x"], &["--max-body", "x", "1024"]),
        (&["serve", "--max-body", "1023"], &["--max-body", "1023"]),
        (&["serve", "--max-body", "-1"], &["-1"]),
        (&["serve", "--committers", "0"], &["--committers", "0"]),
        (&["serve", "--workers", "65"], &["--workers", "65"]),
        (&["serve", "--queue", "0"], &["--queue", "0"]),
        (
            &["serve", "--shutdown-timeout", "soon"],
            &["--shutdown-timeout", "soon"],
        ),
        (&["serve", "--retention", "59"], &["--retention", "59"]),
        (
            &[
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--log",
                "what=ever=this",
            ],
            &["--log"],
        ),
        (
            &[
                "serve",
                "--database-url",
                "postgresql:///x",
                "--data-dir",
                "/tmp/x",
            ],
            &["--database-url", "--data-dir"],
        ),
        (&["openapi", "--xml"], &["--xml"]),
    ];
    for (arguments, words) in cases {
        check_refused(&run(arguments), 2, words);
    }
}

#[test]
fn a_wrong_setting_in_the_environment_is_one_line_and_exit_2() {
    for (name, value, flag) in [
        ("IFMATCH_LISTEN", "0.0.0.0:0", "--listen"),
        ("IFMATCH_MAX_BODY", "x", "--max-body"),
        ("IFMATCH_READERS", "0", "--readers"),
        ("IFMATCH_RETENTION", "ever", "--retention"),
    ] {
        check_refused(
            &ifmatch().arg("serve").env(name, value).output().unwrap(),
            2,
            &[flag, value],
        );
    }
}

#[test]
fn every_flag_has_an_environment_variable_and_a_line_that_explains_it() {
    for command in ["serve", "migrate", "gc"] {
        let output = run(&[command, "--help"]);
        assert_eq!(
            (output.status.code(), output.stderr.is_empty()),
            (Some(0), true)
        );
        let help = String::from_utf8(output.stdout).unwrap();
        // The lines of each flag, joined. A flag is where its line is little indented: an explanation may name others.
        let mut parts: Vec<String> = Vec::new();
        for line in help.lines() {
            let text = line.trim_start();
            match parts.last_mut() {
                _ if text.starts_with('-') && line.len() - text.len() <= 6 => {
                    parts.push(text.to_owned())
                }
                Some(part) => part.push_str(&format!(" {text}")),
                None => {}
            }
        }
        let mut flags = 0;
        for part in parts.iter().filter(|part| part.starts_with("--")) {
            let name = part.trim_start_matches('-').split(' ').next().unwrap();
            let variable = match name {
                "database-url" => "DATABASE_URL".to_owned(),
                name => format!("IFMATCH_{}", name.to_uppercase().replace('-', "_")),
            };
            let explained = part
                .split("[env:")
                .next()
                .unwrap()
                .split_whitespace()
                .count()
                > 3;
            assert!(
                explained
                    && (part.contains(&format!("[env: {variable}]"))
                        || part.contains(&format!("[env: {variable}="))),
                "{part}"
            );
            flags += 1;
        }
        assert!(flags >= 6, "{help}");
    }
}

#[test]
fn a_password_in_the_environment_is_not_shown_by_help() {
    let output = ifmatch()
        .args(["serve", "--help"])
        .env("DATABASE_URL", "postgresql://u:secret@h/d")
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&output.stdout).contains("secret"));
}

#[test]
fn help_and_version_go_to_standard_output() {
    let help = run(&["--help"]);
    assert_eq!(
        (help.status.code(), help.stderr.is_empty()),
        (Some(0), true)
    );
    let text = String::from_utf8(help.stdout).unwrap();
    for command in ["serve", "migrate", "gc", "openapi"] {
        assert!(
            text.lines()
                .any(|line| line.trim_start().starts_with(command)),
            "{command}: {text}"
        );
    }
    let version = run(&["--version"]);
    assert_eq!(
        String::from_utf8_lossy(&version.stdout),
        format!("ifmatch {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn openapi_prints_the_description() {
    let yaml = run(&["openapi"]);
    assert_eq!(
        (yaml.status.code(), yaml.stderr.is_empty()),
        (Some(0), true)
    );
    let file =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.yaml")).unwrap();
    assert!(
        String::from_utf8(yaml.stdout).unwrap() == file,
        "it prints openapi.yaml as it is"
    );
    let json = run(&["openapi", "--json"]);
    assert_eq!(json.status.code(), Some(0));
    let document: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let parsed: serde_json::Value = serde_norway::from_str(&file).unwrap();
    assert_eq!(document, parsed);
    assert!(
        document["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.")),
        "{}",
        document["openapi"]
    );
}

#[test]
fn a_closed_standard_output_is_no_crash() {
    let mut child = ifmatch()
        .arg("openapi")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!error.contains("panicked"), "{error}");
    assert!(error.lines().count() <= 1, "{error}");
}
