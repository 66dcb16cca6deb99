//! The shape of the crate: which module may name which, and what may stand where.
//!
//! Each rule is a function from one file, its path and its text, to what is wrong in it. The
//! first half of the tests lays every rule on all of `src`; the second half shows each rule
//! something wrong, so that a rule that finds nothing any more is found out.

use std::fs;
use std::path::Path;

use crate::rust::{
    Finding, assert_nothing_found, code_of, find_words, group_end, is_test_file, is_word, line_of, lines,
    product_code_of, test_items, words,
};

/// The modules from the bottom up. Each may name itself and those of the rows before its own:
/// modules of one row are strangers. `lib.rs` stands above all and may name all.
const LAYERS: [&[&str]; 9] = [
    &["error"],
    &["message"],
    &["h1", "h2"],
    &["net"],
    &["server", "client"],
    &[
        "mux", "files", "forms", "testing", "tower", "body", "context", "cookie", "header", "httputil", "sse", "tls",
        "trace", "url",
    ],
    &["middleware"],
    &["reverse_proxy"],
    &["fuzzing", "pages"],
];

/// Modules that know no runtime.
const WITHOUT_RUNTIME: [&str; 3] = ["message", "h1", "h2"];

/// Modules that are functions over bytes: they take time as a number, and wait for nobody.
const ONLY_BYTES: [&str; 1] = ["h2"];

/// The files that start tasks. A comment at each `spawn` says who ends the task.
const MAY_SPAWN: [&str; 12] = [
    "src/client/connect/mod.rs",
    "src/client/http1/body.rs",
    "src/client/http2/driver/mod.rs",
    "src/client/pool/pool.rs",
    "src/net/listener_set.rs",
    "src/net/proxy_protocol/listener.rs",
    "src/reverse_proxy/upstreams/owned_task.rs",
    "src/server/accept.rs",
    "src/server/http2/exchanges.rs",
    "src/server/per_core.rs",
    "src/server/server.rs",
    "src/testing/server.rs",
];

/// Longer files than this give a reason: [`REASON`] and the rest of a sentence.
const MAX_LINES: usize = 450;

const REASON: &str = "// Longer than 450 lines because ";

// ------------------------------------------------------------ the rules on the crate itself

#[test]
fn imports_point_downwards_and_never_sideways() {
    assert_nothing_found(arrows);
}

#[test]
fn the_codec_and_the_vocabulary_have_no_runtime() {
    assert_nothing_found(runtime);
}

#[test]
fn what_is_only_bytes_has_no_clock_and_no_lock_and_waits_for_nobody() {
    assert_nothing_found(machinery);
}

#[test]
fn tasks_start_only_where_that_is_said() {
    assert_nothing_found(spawns);
    for path in MAY_SPAWN {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_default();
        assert_ne!(started_tasks(path, &text), [], "{path} is listed for starting tasks and starts none");
    }
}

#[test]
fn features_choose_whole_items() {
    assert_nothing_found(features);
}

#[test]
fn nothing_is_unsafe() {
    assert_nothing_found(unsafe_code);
}

#[test]
fn long_files_have_a_reason() {
    assert_nothing_found(length);
}

// ------------------------------------------------------------ the rules

/// Paths that begin at the crate's root, with `crate::` or with enough `super::`, name a module
/// of a lower row. Tests are no exception: a test that needs the layers above belongs in `tests/`.
/// What `lib.rs` re-exports is for users: inside, a thing is called by the module it lies in.
fn arrows(path: &str, text: &str) -> Vec<Finding> {
    let own = module_of(path);
    if own == "lib" {
        return Vec::new();
    }
    let Some(own_row) = row_of(own) else {
        return vec![Finding(1, format!("the module {own} has no layer yet: give it one in tests/project/layers.rs"))];
    };
    let code = code_of(text);
    let mut findings = Vec::new();
    for (at, from_root) in paths_from_root(path, &code) {
        for target in first_segments(from_root) {
            let what = match row_of(target) {
                None => format!("`crate::{target}` is a re-export: name the module it lies in"),
                Some(row) if row > own_row => format!("{own} names {target}, which lies above it"),
                Some(row) if row == own_row && target != own => format!("{own} names its neighbour {target}"),
                Some(_) => continue,
            };
            findings.push(Finding(line_of(&code, at), what));
        }
    }
    findings
}

/// `tokio` is not named in the modules that know no runtime, except in their tests.
fn runtime(path: &str, text: &str) -> Vec<Finding> {
    if !WITHOUT_RUNTIME.contains(&module_of(path)) {
        return Vec::new();
    }
    let code = product_code_of(path, text);
    find_words(&code, |_, word| word == "tokio", "names tokio in a module that knows no runtime")
}

/// Neither clocks nor locks nor anything that waits is named in the modules that are functions over bytes,
/// except in their tests.
fn machinery(path: &str, text: &str) -> Vec<Finding> {
    const CLOCKS: [&str; 3] = ["Instant", "SystemTime", "sleep"];
    const LOCKS: [&str; 5] = ["Mutex", "RwLock", "OnceLock", "LazyLock", "Condvar"];
    const WAITS: [&str; 5] = ["async", "await", "Future", "Waker", "Poll"];
    if !ONLY_BYTES.contains(&module_of(path)) {
        return Vec::new();
    }
    let is_such = |_: &str, word: &str| {
        word.starts_with("Atomic") || [&CLOCKS[..], &LOCKS, &WAITS].iter().any(|list| list.contains(&word))
    };
    find_words(&product_code_of(path, text), is_such, "names a clock, a lock or a wait in a module that has none")
}

/// `spawn(…)` and `spawn_local(…)` stand only in the files that may start tasks, and in tests.
fn spawns(path: &str, text: &str) -> Vec<Finding> {
    if MAY_SPAWN.contains(&path) { Vec::new() } else { started_tasks(path, text) }
}

fn started_tasks(path: &str, text: &str) -> Vec<Finding> {
    let code = product_code_of(path, text);
    let is_call = |after: &str| after.starts_with('(') || after.starts_with("::<");
    let starts_a_task = |after: &str, word: &str| matches!(word, "spawn" | "spawn_local") && is_call(after);
    find_words(&code, starts_a_task, "starts a task in a file that is not listed for it in tests/project/layers.rs")
}

/// A feature adds or leaves out whole items: `#[cfg(feature = …)]` stands directly above a `mod`,
/// a `use`, a `fn` or an `impl` (other attributes, docs and visibility may stand between). There
/// is none on fields, variants, statements or types, no `cfg!(feature = …)`, no `cfg_attr`. The
/// lints of what only one side uses are another thing: they change no code.
fn features(path: &str, text: &str) -> Vec<Finding> {
    let code = code_of(text);
    let mut findings = Vec::new();
    for (at, word) in words(&code).filter(|(_, word)| matches!(*word, "cfg" | "cfg_attr")) {
        let after = code[at + word.len()..].trim_start_matches('!');
        let condition = &after[..group_end(after)];
        if !words(condition).any(|(_, word)| word == "feature") {
            continue;
        }
        if path == "src/lib.rs" && condition.contains("allow(dead_code, unused_imports, unreachable_pub,") {
            continue;
        }
        let item = after[condition.len()..].trim_start_matches(']');
        if word != "cfg" || !code[..at].ends_with("#[") || !is_whole_item(item) {
            let what = "a feature away from a `mod`, `use`, `fn` or `impl` directly below it";
            findings.push(Finding(line_of(&code, at), what.to_owned()));
        }
    }
    findings
}

/// The crate forbids `unsafe`; this says it of every file, macros that are not expanded included.
fn unsafe_code(_: &str, text: &str) -> Vec<Finding> {
    find_words(&code_of(text), |_, word| word == "unsafe", "is unsafe")
}

/// A file over the limit, tests left out, says why.
fn length(path: &str, text: &str) -> Vec<Finding> {
    let code = code_of(text);
    let in_tests: usize = test_items(&code).into_iter().map(|item| code[item].lines().count()).sum();
    let lines = text.lines().count() - in_tests;
    if lines <= MAX_LINES || is_test_file(path) || text.contains(REASON) {
        return Vec::new();
    }
    vec![Finding(1, format!("{lines} lines without tests and no comment `{REASON}…`"))]
}

// ------------------------------------------------------------ paths and modules

/// `src/h1/chunked.rs` belongs to `h1`, `src/error.rs` to `error`.
fn module_of(path: &str) -> &str {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    path.split('/').next().unwrap_or(path)
}

fn row_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// Where each path begins that starts at the crate's root, and its text behind that root.
fn paths_from_root<'a>(path: &str, code: &'a str) -> Vec<(usize, &'a str)> {
    let climbed = |at: usize, word: &str| {
        let mut rest = code[at..].strip_prefix(word)?.strip_prefix("::")?;
        let mut climbed = 1;
        while let Some(shorter) = rest.strip_prefix("super::") {
            rest = shorter;
            climbed += 1;
        }
        let reaches_root = word == "crate" || climbed >= file_depth(path) + inline_depth(&code[..at]);
        reaches_root.then_some((at, rest))
    };
    let starts_here = |at: usize| !code[..at].ends_with("::");
    words(code)
        .filter(|&(at, word)| matches!(word, "crate" | "super") && starts_here(at))
        .filter_map(|(at, word)| climbed(at, word))
        .collect()
}

/// How far below the crate's root the module of a file is.
fn file_depth(path: &str) -> usize {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    path.trim_end_matches("/mod").split('/').count()
}

/// How many `mod name { … }` are open where the code ends.
fn inline_depth(code: &str) -> usize {
    let mut open = Vec::new();
    for (at, brace) in code.match_indices(['{', '}']) {
        if brace == "}" {
            open.pop();
        } else {
            open.push(code[..at].split_whitespace().rev().nth(1) == Some("mod"));
        }
    }
    open.into_iter().filter(|&is_module| is_module).count()
}

/// The names that a path goes on with: `a` of `a::b`, and `a` and `c` of `{a::b, c}`.
fn first_segments(path: &str) -> Vec<&str> {
    let first_word = |path| words(path).next().map_or("*", |(_, word)| word);
    if !path.starts_with('{') {
        let end = path.find(|c| !is_word(c)).unwrap_or(path.len());
        return vec![first_word(&path[..end])];
    }
    let group = &path[1..group_end(path) - 1];
    let mut depth = 0;
    let members = group.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    members.filter(|member| !member.trim().is_empty()).map(first_word).collect()
}

/// Whether what follows is a `mod`, `use`, `fn` or `impl`, behind attributes and qualifiers.
fn is_whole_item(code: &str) -> bool {
    let mut rest = code.trim_start();
    while rest.starts_with("#[") {
        rest = rest[1 + group_end(&rest[1..])..].trim_start();
    }
    let mut rest = rest.strip_prefix("pub").unwrap_or(rest);
    if rest.starts_with('(') {
        rest = &rest[group_end(rest)..];
    }
    let item = words(rest).map(|(_, word)| word).find(|word| !matches!(*word, "async" | "const"));
    matches!(item, Some("mod" | "use" | "fn" | "impl"))
}

// ------------------------------------------------------------ the rules find what they are for

#[test]
fn an_arrow_upwards_or_sideways_is_found() {
    for (path, text) in [
        ("src/h1/head.rs", "use crate::server::Server;"),
        ("src/error.rs", "use crate::message::Body;"),
        ("src/server/accept.rs", "use crate::client::Client;"),
        ("src/mux/mod.rs", "fn f() { crate::files::serve() }"),
        ("src/message/body.rs", "use crate::{error::Result, h1::{Head, Framing}};"),
        ("src/message/body.rs", "use super::super::net::Io;"),
        ("src/message/mod.rs", "use super::net::Io;"),
        ("src/error.rs", "mod tests { use super::super::message::Body; }"),
        ("src/message/body.rs", "#[cfg(test)] mod tests { use crate::testing::pipe; }"),
        ("src/server/mod.rs", "use crate::ServeMux;"),
        ("src/server/mod.rs", "use super::*;"),
        ("src/neither/mod.rs", ""),
        ("src/h2/frame.rs", "use super::super::net::Io;"),
        ("src/h2/frame.rs", "use crate::h1::HeadLimits;"),
    ] {
        assert_eq!(lines(arrows, path, text), [1], "{path}: {text}");
    }
    let two =
        "use crate::{\n    server::Server,\n    message::Body,\n    client::Client,\n};\n\nuse crate::mux::Mux;\n";
    assert_eq!(lines(arrows, "src/net/mod.rs", two), [1, 1, 7], "a group counts for the line it begins in");
}

#[test]
fn an_arrow_downwards_or_within_is_not() {
    for (path, text) in [
        ("src/server/accept.rs", "use crate::{error::Result, message::{Body, Header}, net, h1::Head, server::State};"),
        ("src/server/accept.rs", "use super::state::State; use super::super::error::Result;"),
        ("src/server/accept.rs", "pub(crate) fn f() {} pub(in crate::server) fn g() {} pub(super) fn h() {}"),
        ("src/error.rs", "mod tests { use super::*; }"),
        ("src/h1/mod.rs", "mod a { mod b { use super::super::Head; } } mod c { use super::Head; }"),
        ("src/error.rs", "/// See [`Server`](crate::server::Server).\nfn f() { g(\"crate::server\") }"),
        ("src/lib.rs", "use crate::server::Server;"),
        ("src/h2/frame.rs", "use crate::{error::Result, message::Header}; use super::fault::Fault;"),
    ] {
        assert_eq!(arrows(path, text), [], "{path}: {text}");
    }
}

#[test]
fn a_runtime_is_found_outside_of_tests_and_comments() {
    let used = "/// Like [`AsyncRead`](tokio::io::AsyncRead).\nuse tokio::io::AsyncRead;\n";
    assert_eq!(lines(runtime, "src/message/body.rs", used), [2]);
    assert_eq!(lines(runtime, "src/net/io.rs", used), []);
    let tested = "#[cfg(test)]\nmod tests {\n    #[tokio::test]\n    async fn t() {}\n}\n";
    assert_eq!(lines(runtime, "src/h1/head.rs", tested), []);
    assert_eq!(lines(runtime, "src/h1/head.rs", &format!("{tested}fn f() {{ tokio::spawn(g()) }}\n")), [6]);
    assert_eq!(lines(runtime, "src/h1/tests/mod.rs", "use tokio::io;"), [], "a file of tests");
}

#[test]
fn a_clock_a_lock_and_a_wait_are_found_where_there_are_only_bytes() {
    for word in ["std::time::Instant", "SystemTime", "std::sync::Mutex", "AtomicU64", "async fn f() {}", "f().await"] {
        assert_eq!(lines(machinery, "src/h2/hpack/decoder.rs", word), [1], "{word}");
        assert_eq!(lines(machinery, "src/net/io.rs", word), []);
    }
    let innocent = "// Mutex\nlet instants = awaited;\n#[cfg(test)]\nmod tests { async fn t() {} }";
    assert_eq!(lines(machinery, "src/h2/mod.rs", innocent), []);
}

#[test]
fn a_task_is_found() {
    for call in ["tokio::spawn(f())", "set.spawn(f())", "spawn::<F>(f)", "task::spawn_local(f())"] {
        assert_eq!(lines(spawns, "src/net/io.rs", call), [1], "{call}");
        assert_eq!(lines(spawns, MAY_SPAWN[0], call), []);
    }
    assert_eq!(lines(spawns, "src/net/io.rs", "// spawn(f())\nlet respawn = spawn_blocking(f);"), []);
    assert_eq!(lines(spawns, "src/net/io.rs", "#[cfg(test)]\nasync fn t() -> [u8; 2] { spawn(f()); [1; 2] }"), []);
}

#[test]
fn a_feature_inside_an_item_is_found() {
    for inside in [
        "fn f() { if cfg!(feature = \"json\") { g() } }",
        "struct S { #[cfg(feature = \"json\")] a: u8 }",
        "fn f() { #[cfg(feature = \"json\")] let a = 1; }",
        "#[cfg(all(unix, feature = \"json\"))] struct S;",
        "#[cfg(feature = \"json\")] const X: u8 = 1;",
        "#[cfg_attr(feature = \"json\", derive(Debug))] struct S;",
        "#![cfg_attr(not(feature = \"json\"), allow(dead_code))]",
        "#![cfg(feature = \"json\")]",
    ] {
        assert_eq!(lines(features, "src/server/mod.rs", inside), [1], "{inside}");
    }
}

#[test]
fn a_feature_on_an_item_is_not() {
    for on in [
        "#[cfg(feature = \"server\")]\nmod server;",
        "#[cfg(not(feature = \"server\"))] pub(crate) use a::b;",
        "#[cfg(feature = \"json\")]\n/// Docs.\n#[must_use]\npub async fn f() {}",
        "#[cfg(feature = \"json\")] pub(in crate::message) const fn f() {}",
        "#[cfg(feature = \"json\")] impl<T: Into<u8>> From<T> for S {}",
        "#[cfg(unix)] struct S; // not a feature",
    ] {
        assert_eq!(features("src/server/mod.rs", on), [], "{on}");
    }
}

#[test]
fn unsafe_is_found_where_it_is_code() {
    let text = "#![forbid(unsafe_code)]\n// unsafe\nfn f() { g('\"', r#\"unsafe\"#, \"\\\"unsafe\", b'\\'') }\nunsafe fn h() {}\n";
    assert_eq!(lines(unsafe_code, "src/lib.rs", text), [4]);
    let hidden = "/* a /* nested */ unsafe */ fn f<'a>(x: &'a str) { unsafe { g() } }";
    assert_eq!(lines(unsafe_code, "src/lib.rs", hidden), [1]);
}

#[test]
fn a_long_file_is_found_unless_its_tests_are_long_or_it_has_a_reason() {
    let code = "fn f() {}\n".repeat(MAX_LINES);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{code}}}\n");
    assert_eq!(lines(length, "src/h1/head.rs", &format!("{code}{tests}")), []);
    assert_eq!(lines(length, "src/h1/head.rs", &format!("{code}fn g() {{}}\n")), [1]);
    assert_eq!(lines(length, "src/h1/head.rs", &format!("{REASON}it is a table.\n{code}")), []);
    assert_eq!(lines(length, "src/h1/tests/mod.rs", &format!("{code}{code}")), []);
}
