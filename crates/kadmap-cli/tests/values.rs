//! Values and names of every kind come back as they were given.

mod support;

use std::ffi::OsStr;

use support::{Node, text};

#[test]
fn values_come_from_arguments_files_and_standard_input() {
    let node = Node::start::<&str>(&[]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("value.json");
    std::fs::write(&path, "{\n  \"a\": [1, 2]\n}\n").unwrap();
    node.run(&["put", "file", &format!("@{}", text(&path))]).ok();
    assert_eq!(node.run(&["get", "file"]).ok().text(), "{\"a\":[1,2]}\n");
    node.run_with(&["put", "stdin", "-"], b"two words\n").ok();
    assert_eq!(node.run(&["get", "stdin"]).ok().text(), "\"two words\"\n");
    node.run_with(&["append", "list", "-"], b"17").ok();
    node.run(&["append", "list", "-1.50"]).ok();
    node.run(&["append", "list", "17", "--string"]).ok();
    assert_eq!(node.run(&["get", "list"]).ok().text(), "[17,-1.50,\"17\"]\n");
    let missing = folder.path().join("missing");
    node.run(&["put", "x", &format!("@{}", text(&missing))]).fails(2, &["cannot read", "missing"]);
    node.run_with(&["put", "x", "-"], b"\xff").fails(2, &["not UTF-8", "--raw"]);
}

#[test]
fn raw_bytes_come_back_byte_by_byte() {
    let node = Node::start::<&str>(&[]);
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    node.run_with(&["put", "bytes", "-", "--raw"], &bytes).ok();
    assert_eq!(node.run(&["get", "bytes", "--raw"]).ok().stdout, bytes);
    node.run_with(&["put", "line", "-", "--raw"], b"a\n").ok();
    assert_eq!(node.run(&["get", "line", "--raw"]).ok().stdout, b"a\n");
    assert_eq!(node.run(&["get", "line"]).ok().text(), "{\"base64\":\"YQo=\"}\n");
    node.run_with(&["append", "mixed", "-", "--raw"], b"\xff").ok();
    node.run(&["append", "mixed", "1"]).ok();
    assert_eq!(node.run(&["get", "mixed"]).ok().text(), "[{\"base64\":\"/w==\"},1]\n");
}

#[test]
fn empty_and_false_values_are_values() {
    let node = Node::start::<&str>(&[]);
    for (typed, printed) in [
        ("", "\"\""),
        ("\"\"", "\"\""),
        ("null", "null"),
        ("false", "false"),
        ("0", "0"),
        ("[]", "[]"),
        ("{}", "{}"),
    ] {
        node.run(&["put", "value", typed]).ok();
        assert_eq!(node.run(&["get", "value"]).ok().text(), format!("{printed}\n"), "{typed}");
    }
    node.run(&["put", "value", "", "--raw"]).ok();
    assert_eq!(node.run(&["get", "value", "--raw"]).ok().stdout, b"");
    node.run(&["put", "value", ""]).ok();
    assert_eq!(node.run(&["get", "value", "--raw"]).ok().stdout, b"");
}

#[test]
fn names_may_be_anything_up_to_their_limit() {
    let node = Node::start::<&str>(&[]);
    let long = "n".repeat(1_024);
    let names = ["größe 🎈", "two words", "a/b.c", "line\nend", "", &long];
    for name in names {
        node.run(&["put", name, "--", name]).ok();
        assert_eq!(node.run(&["get", name, "--raw"]).ok().text(), name);
    }
    let mut expected: Vec<_> = names.map(|name| serde_json::Value::from(name).to_string()).into();
    expected.sort_unstable();
    assert_eq!(node.run(&["keys", "--json"]).ok().sorted_lines(), expected);
    let plain = node.run(&["keys"]).ok();
    assert!(plain.text().lines().any(|line| line == "größe 🎈"), "{plain:?}");
    assert!(plain.text().lines().any(|line| line == "\"line\\nend\""), "{plain:?}");
    let too_long = "n".repeat(1_025);
    node.run(&["put", &too_long, "1"]).fails(6, &["name too long: 1025 bytes", "choose a shorter name"]);
}

#[cfg(unix)]
#[test]
fn names_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let node = Node::start::<&str>(&[]);
    let name = OsStr::from_bytes(b"\xff\x01");
    node.run(&[OsStr::new("put"), name, OsStr::new("red")]).ok();
    assert_eq!(node.run(&[OsStr::new("get"), name]).ok().text(), "\"red\"\n");
    assert_eq!(node.run(&["keys"]).ok().text(), "{\"base64\":\"/wE=\"}\n");
}

#[test]
fn numbers_keep_every_digit() {
    let node = Node::start::<&str>(&[]);
    let number = "123456789012345678901234567890.10";
    node.run(&["put", "number", number]).ok();
    assert_eq!(node.run(&["get", "number"]).ok().text(), format!("{number}\n"));
    let json = node.run(&["get", "number", "--json"]).ok();
    assert!(json.text().contains(number), "{json:?}");
}

#[test]
fn a_value_at_the_limit_is_taken() {
    let node = Node::start(&["--value-bytes-max", "4MiB"]);
    let bytes = vec![7; 4 << 20];
    node.run_with(&["put", "large", "-", "--raw"], &bytes).ok();
    assert!(node.run(&["get", "large", "--raw"]).ok().stdout == bytes);
}
