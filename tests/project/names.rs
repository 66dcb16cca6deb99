//! Names and places: a type's name is used once, no name has a word that was replaced, functions take few
//! parameters, and modules have one style.

use std::collections::BTreeMap;

use crate::rust::{
    Finding, assert_all_still, assert_nothing_found, code_of, group_end, is_test_file, is_word, items, line_of, lines,
    product_code_of, sources, test_items, words,
};

/// Names that two types have for a reason.
const PAIRS: [(&str, &str); 4] = [
    ("Exchange", "the client's exchange in HTTP/1 and in HTTP/2: neither module names the other's"),
    ("KeepAlive", "the pings of each side of HTTP/2: server and client are strangers"),
    ("Server", "`testing::Server` serves for a test, as Go's `httptest.Server`"),
    ("Upload", "what the client does with a request's content, in HTTP/1 and in HTTP/2"),
];

/// Words that name no part of HTTP, of Go's library or of tokio's, and say nothing to a newcomer.
const HOUSEHOLD: &str = "house book books booked bookkeeping shelf shelves desk desks home homes janitor seat seats \
                         bell bells goodbye outlet outbox turn turns verdict preset errand";

/// As many parameters a function may have, `self` included.
const MAX_PARAMETER_COUNT: usize = 6;

// ------------------------------------------------------------ the rules on the crate itself

#[test]
fn a_types_name_is_used_once() {
    let twice = used_twice(&sources());
    let is_allowed = |name: &str| PAIRS.iter().any(|(pair, _)| *pair == name);
    let found: Vec<String> = twice
        .iter()
        .filter(|(name, _)| !is_allowed(name))
        .map(|(name, places)| format!("{name}: {}", places.join(", ")))
        .collect();
    assert!(found.is_empty(), "names of several types:\n{}", found.join("\n"));
    assert_all_still(&PAIRS.map(|(name, _)| name), |name| twice.contains_key(name));
}

#[test]
fn no_name_uses_a_word_that_was_replaced() {
    assert_nothing_found(|path, text| {
        let words = household_words(path, text).into_iter();
        words.map(|(line, word)| Finding(line, format!("{word} is a word of the household"))).collect()
    });
}

#[test]
fn no_function_has_many_parameters() {
    assert_nothing_found(parameters);
}

#[test]
fn modules_have_one_style() {
    assert_nothing_found(other_paths);
    let paths: Vec<String> = sources().into_iter().map(|(path, _)| path).collect();
    assert_eq!(beside_a_folder(&paths), Vec::<&str>::new(), "a folder has its own file inside: mod.rs");
}

// ------------------------------------------------------------ the rules

/// Names of more than one type, and where these are. A stand-in for a feature that is off has the name
/// of what it stands in for.
fn used_twice(sources: &[(String, String)]) -> BTreeMap<String, Vec<String>> {
    let mut places = BTreeMap::<String, Vec<String>>::new();
    for (path, text) in sources.iter().filter(|(path, _)| !path.ends_with("_absent.rs")) {
        let code = product_code_of(path, text);
        for item in items(&code) {
            if matches!(item.kind, "struct" | "enum" | "union" | "trait" | "type") {
                places.entry(item.name.to_owned()).or_default().push(format!("{path}:{}", line_of(&code, item.at)));
            }
        }
    }
    places.retain(|_, places| places.len() > 1);
    places
}

/// The replaced words in a file's names, whole or as a part: `Shelf`, `is_booked`, `ShelfSize`.
fn household_words(path: &str, text: &str) -> Vec<(usize, &'static str)> {
    let code = product_code_of(path, text);
    let mut found = Vec::new();
    for (at, name) in words(&code) {
        for part in parts(name) {
            if let Some(word) = HOUSEHOLD.split_whitespace().find(|word| *word == part) {
                found.push((line_of(&code, at), word));
            }
        }
    }
    found
}

/// The words that a name is put together of, in lower case.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut was_small = false;
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && was_small) {
            parts.push(String::new());
        }
        was_small = c.is_lowercase() || c.is_numeric();
        if let Some(part) = parts.last_mut().filter(|_| c != '_') {
            part.extend(c.to_lowercase());
        }
    }
    parts
}

/// Functions that are called with more than the limit.
fn parameters(path: &str, text: &str) -> Vec<Finding> {
    let code = product_code_of(path, text);
    let mut findings = Vec::new();
    for (at, _) in words(&code).filter(|(_, word)| *word == "fn") {
        let signature = code[at + "fn".len()..].trim_start();
        let name = &signature[..signature.find(|c| !is_word(c)).unwrap_or(signature.len())];
        let rest = &signature[name.len()..];
        // `fn(u8) -> u8` is a type.
        let Some(open) = (if name.is_empty() { None } else { opening_parenthesis(rest) }) else { continue };
        let count = list_length(&rest[open + 1..open + group_end(&rest[open..]) - 1]);
        if count > MAX_PARAMETER_COUNT {
            findings.push(Finding(line_of(&code, at), format!("{name} has {count} parameters")));
        }
    }
    findings
}

/// Where the parameters begin, behind what stands in angle brackets.
fn opening_parenthesis(signature: &str) -> Option<usize> {
    angles(signature).find(|&(_, c, depth)| c == '(' && depth == 0).map(|(at, ..)| at)
}

/// How many members a list has, whose separators are the commas outside of all brackets.
fn list_length(list: &str) -> usize {
    let mut depth = 0;
    let mut members = vec![String::new()];
    for (_, c, angle) in angles(list) {
        depth += i32::from("([{".contains(c)) - i32::from(")]}".contains(c));
        if c == ',' && depth == 0 && angle == 0 {
            members.push(String::new());
        } else if let Some(member) = members.last_mut() {
            member.push(c);
        }
    }
    members.iter().filter(|member| !member.trim().is_empty()).count()
}

/// Each character, and how deep in angle brackets it stands. The `>` of an arrow closes none.
fn angles(code: &str) -> impl Iterator<Item = (usize, char, i32)> {
    let mut before = ' ';
    let mut depth = 0;
    code.char_indices().map(move |(at, c)| {
        match c {
            '<' => depth += 1,
            '>' if before != '-' && before != '=' => depth -= 1,
            _ => {}
        }
        before = c;
        (at, c, depth)
    })
}

/// Modules in a file of another name, where it is neither a stand-in for a feature nor a choice of logs.
fn other_paths(path: &str, text: &str) -> Vec<Finding> {
    const MARK: &str = "#[path = \"";
    if is_test_file(path) {
        return Vec::new();
    }
    let tests = test_items(&code_of(text));
    let mut findings = Vec::new();
    for (at, _) in text.match_indices(MARK).filter(|(at, _)| !tests.iter().any(|item| item.contains(at))) {
        let file = text[at + MARK.len()..].split('"').next().unwrap_or_default();
        if !file.ends_with("_absent.rs") && !file.starts_with("log_") {
            findings.push(Finding(line_of(text, at), format!("the module in {file} has another name than its file")));
        }
    }
    findings
}

/// Files that stand beside the folder that is theirs.
fn beside_a_folder(paths: &[String]) -> Vec<&str> {
    let has_folder = |path: &str| paths.iter().any(|other| other.starts_with(&format!("{path}/")));
    paths.iter().map(String::as_str).filter(|path| has_folder(path.trim_end_matches(".rs"))).collect()
}

// ------------------------------------------------------------ the rules find what they are for

fn twice_in(files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<(String, String)> =
        files.iter().map(|&(path, text)| (format!("src/{path}"), text.to_owned())).collect();
    used_twice(&sources).into_keys().collect()
}

#[test]
fn a_name_of_two_types_is_found() {
    for (a, b) in [
        ("struct Facts;", "pub(crate) enum Facts { A }"),
        ("type Facts = u8;", "mod inner { pub trait Facts {} }"),
        ("fn f() {}\nstruct Facts(u8);", "#[derive(Debug)]\nunion Facts { a: u8 }"),
    ] {
        assert_eq!(twice_in(&[("a.rs", a), ("b.rs", b)]), ["Facts"], "{a} | {b}");
    }
    assert_eq!(twice_in(&[("a.rs", "struct Facts; mod inner { struct Facts; }")]), ["Facts"]);
}

#[test]
fn a_name_that_is_used_once_is_not_found() {
    for (path, b) in [
        ("b.rs", "fn f() { struct Facts; }"),
        ("b.rs", "impl Iterator for B { type Facts = u8; }"),
        ("b.rs", "#[cfg(test)] mod tests { struct Facts; }"),
        ("b.rs", "// struct Facts;\nfn facts(facts: Facts) {}"),
        ("b/tests.rs", "struct Facts;"),
        ("a_absent.rs", "struct Facts;"),
    ] {
        assert_eq!(twice_in(&[("a.rs", "struct Facts;"), (path, b)]), Vec::<String>::new(), "{b}");
    }
}

#[test]
fn a_word_that_was_replaced_is_found_whole_and_as_a_part() {
    for (text, word) in [
        ("struct Shelf;", "shelf"),
        ("struct ShelfSize;", "shelf"),
        ("struct OldShelf;", "shelf"),
        ("fn is_booked() {}", "booked"),
        ("const TURN_LIMIT: u8 = 1;", "turn"),
        ("mod janitor;", "janitor"),
    ] {
        assert_eq!(household_words("src/a.rs", text), [(1, word)], "{text}");
    }
    let innocent = "fn f() { return facebook; } // a shelf\nlet returned = \"shelf\";\n#[cfg(test)] fn turn() {}";
    assert_eq!(household_words("src/a.rs", innocent), []);
}

#[test]
fn a_function_of_seven_parameters_is_found_and_one_of_six_is_not() {
    let seven = [
        "fn f(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8) {}",
        "fn f(&mut self, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8,) {}",
        "pub(crate) async fn f<A: Fn(u8) -> u8, B>(a: A, b: B, c: u8, d: u8, e: u8, f: u8, g: u8) {}",
    ];
    for text in seven {
        assert_eq!(lines(parameters, "src/a.rs", text), [1], "{text}");
    }
    for text in [
        "fn f(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) {}",
        "fn f(a: HashMap<u8, u8>, b: [u8; 2], c: (u8, u8), d: impl Fn(u8, u8) -> u8, e: u8, f: u8,) {}",
        "fn f<const A: u8, B, C, D, E, F, G>() {}",
        "type F = fn(u8, u8, u8, u8, u8, u8, u8);",
        "#[cfg(test)] fn f(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8) {}",
    ] {
        assert_eq!(lines(parameters, "src/a.rs", text), [], "{text}");
    }
}

#[test]
fn a_module_of_another_style_is_found() {
    assert_eq!(lines(other_paths, "src/a/mod.rs", "#[path = \"c.rs\"]\nmod b;"), [1]);
    for text in [
        "#[path = \"b_absent.rs\"]\nmod b;",
        "#[path = \"log_stderr.rs\"]\nmod log;",
        "#[cfg(test)]\n#[path = \"c.rs\"]\nmod tests;",
    ] {
        assert_eq!(lines(other_paths, "src/a/mod.rs", text), [], "{text}");
    }
    let paths = ["src/a.rs", "src/a/b.rs", "src/ab.rs", "src/c/mod.rs"].map(str::to_owned);
    assert_eq!(beside_a_folder(&paths), ["src/a.rs"]);
}
