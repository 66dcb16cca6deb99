//! The pages of `docs/parity` keep their word: every row names a test, every test that it names is there, and
//! what has none is listed as such.
//!
//! The rules are functions of the page and of the files that it names, so that the second half of
//! the tests can show each of them something wrong.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// What stands in a row's third cell where nothing proves it.
const UNPROVEN: &str = "-";

/// The heading of an area's list of rows without a proof.
const NOT_YET: &str = "## Not yet";

/// A page read: one area, or several in their order.
#[derive(Debug, Default)]
struct Area {
    name: String,
    /// How many rows the heading says there are.
    announced: usize,
    rows: Vec<Row>,
    not_yet: Vec<String>,
}

#[derive(Debug)]
struct Row {
    identifier: String,
    proofs: String,
}

// ------------------------------------------------------------ the rules on the page itself

#[test]
fn every_row_has_a_test_that_is_there_or_is_listed_without_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let areas: Vec<Area> = pages(&root.join("docs/parity")).iter().flat_map(|page| read(page)).collect();
    assert!(areas.len() > 10 && areas.iter().map(|area| area.rows.len()).sum::<usize>() > 350);
    let found = faults(&areas, &|path| fs::read_to_string(root.join(path)).ok());
    assert!(found.is_empty(), "{} faults in docs/parity\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_test_that_stands_for_a_promise_of_security_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("SECURITY.md")).expect("the page is there");
    let proofs: Vec<&str> = page.split('`').filter(|word| word.contains(".rs::")).collect();
    assert!(proofs.len() > 25, "only {} tests are named", proofs.len());
    let file = |path: &str| fs::read_to_string(root.join(path)).ok();
    let found: Vec<String> = proofs.iter().filter_map(|proof| unfit(proof, &file)).collect();
    assert!(found.is_empty(), "SECURITY.md: {found:?}");
}

/// The text of the page of each area.
fn pages(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    let areas = paths.filter(|path| !path.ends_with("README.md"));
    areas.map(|path| fs::read_to_string(path).expect("a page is text")).collect()
}

fn read(page: &str) -> Vec<Area> {
    let (mut areas, mut lists) = (Vec::<Area>::new(), false);
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("# ") {
            let (name, count) = heading.rsplit_once(" (").unwrap_or((heading, ""));
            let announced = count.trim_end_matches(')').parse().unwrap_or(0);
            areas.push(Area { name: name.to_owned(), announced, ..Area::default() });
            lists = false;
        }
        let Some(area) = areas.last_mut() else { continue };
        if line == NOT_YET {
            lists = true;
        } else if let Some(entry) = line.strip_prefix("- ").filter(|_| lists) {
            // Bold: an identifier may have a colon of its own.
            let named = entry.strip_prefix("**").and_then(|entry| entry.split_once("**"));
            area.not_yet.push(named.map_or(entry, |(identifier, _)| identifier).to_owned());
        } else if let Some(cells) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) {
            let cells: Vec<&str> = cells.split(" | ").collect();
            if let [identifier, _, proofs] = cells[..] {
                if identifier != "identifier" {
                    area.rows.push(Row { identifier: identifier.to_owned(), proofs: proofs.to_owned() });
                }
            }
        }
    }
    areas
}

/// All that is wrong. `file` reads one that the page names.
fn faults(areas: &[Area], file: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    for area in areas {
        let mut tell = |fault: String| found.push(format!("{}: {fault}", area.name));
        if area.announced != area.rows.len() {
            tell(format!("{} rows are announced and {} there", area.announced, area.rows.len()));
        }
        let mut seen = HashSet::new();
        for row in &area.rows {
            if !seen.insert(&row.identifier) {
                tell(format!("{} is there twice", row.identifier));
            }
            let is_listed = area.not_yet.contains(&row.identifier);
            match (row.proofs == UNPROVEN, is_listed) {
                (true, false) => tell(format!("{} has no test and is not listed", row.identifier)),
                (false, true) => tell(format!("{} is listed and has a test", row.identifier)),
                _ => {}
            }
            if row.proofs != UNPROVEN {
                let proofs = row.proofs.split(", ");
                proofs
                    .filter_map(|proof| unfit(proof, file))
                    .for_each(|fault| tell(format!("{}: {fault}", row.identifier)));
            }
        }
        for entry in area.not_yet.iter().filter(|entry| !seen.contains(entry)) {
            tell(format!("{entry} is listed and is no row"));
        }
    }
    found
}

/// Why this proves nothing: `path::test` or `path::Item (doc)` in backticks.
fn unfit(proof: &str, file: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let Some((path, name)) = proof.trim_matches('`').rsplit_once("::") else {
        return Some(format!("{proof} names no file and test"));
    };
    let Some(text) = file(path) else { return Some(format!("there is no file {path}")) };
    let is_there = match name.strip_suffix(" (doc)") {
        Some(item) => has_example(&text, item),
        None => has_test(&text, name),
    };
    (!is_there).then(|| format!("{path} has no test {name}"))
}

/// Whether there is a `fn` of this name under `#[test]` or `#[tokio::test]`, not ignored.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let declares = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ").and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with('('))
    };
    lines.iter().enumerate().filter(|(_, line)| declares(line)).any(|(at, _)| {
        let attributes: Vec<&&str> = lines[..at].iter().rev().take_while(|line| line.starts_with("#[")).collect();
        let is_test = |line: &&&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        attributes.iter().any(is_test) && !attributes.iter().any(|line| line.starts_with("#[ignore"))
    })
}

/// Whether an item of this name has an example in its documentation that is run.
fn has_example(text: &str, item: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let declares = |line: &str| {
        let words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let is_item = |pair: &[&str]| matches!(pair[0], "fn" | "struct" | "trait" | "enum") && pair[1] == item;
        words.windows(2).any(is_item) && !line.starts_with("//")
    };
    lines.iter().enumerate().filter(|(_, line)| declares(line)).any(|(at, _)| {
        let above = lines[..at].iter().rev().take_while(|line| line.starts_with("///") || line.starts_with("#["));
        let fences: Vec<&str> = above.filter_map(|line| line.strip_prefix("/// ```")).collect();
        // From below: the end of an example comes before its beginning.
        fences.chunks(2).any(|fence| fence == ["", ""])
    })
}

// ------------------------------------------------------------ what the rules find

const FILE: &str = "\
#[test]
fn plain() {}

    #[tokio::test(start_paused = true)]
    #[cfg(unix)]
    async fn waits() {}

#[test]
#[ignore = \"run apart\"]
fn ignored() {}

fn helper() {}

/// Adds one.
///
/// ```
/// assert_eq!(example(1), 2);
/// ```
#[must_use]
pub fn example(n: u32) -> u32 {

/// ```no_run
/// shown();
/// ```
pub fn shown() {}
";

fn found_in(page: &str) -> Vec<String> {
    faults(&read(page), &|path| (path == "a.rs").then(|| FILE.to_owned()))
}

fn page_of(proof: &str) -> String {
    format!("# one (1)\n\n| identifier | what holds | proven by |\n|---|---|---|\n| `X` | a rule | {proof} |\n")
}

#[test]
fn a_row_with_a_test_or_an_example_is_in_order() {
    for proof in ["`a.rs::plain`", "`a.rs::waits`", "`a.rs::plain`, `a.rs::waits`", "`a.rs::example (doc)`"] {
        assert_eq!(found_in(&page_of(proof)), Vec::<String>::new(), "{proof}");
    }
}

#[test]
fn a_proof_that_is_none_is_found() {
    for (proof, fault) in [
        ("`a.rs::absent`", "one: `X`: a.rs has no test absent"),
        ("`a.rs::plai`", "one: `X`: a.rs has no test plai"),
        ("`a.rs::helper`", "one: `X`: a.rs has no test helper"),
        ("`a.rs::ignored`", "one: `X`: a.rs has no test ignored"),
        ("`b.rs::plain`", "one: `X`: there is no file b.rs"),
        ("`a.rs::plain`, `a.rs::absent`", "one: `X`: a.rs has no test absent"),
        ("`a.rs::shown (doc)`", "one: `X`: a.rs has no test shown (doc)"),
        ("`a.rs::helper (doc)`", "one: `X`: a.rs has no test helper (doc)"),
        ("by inspection", "one: `X`: by inspection names no file and test"),
        ("-", "one: `X` has no test and is not listed"),
    ] {
        assert_eq!(found_in(&page_of(proof)), [fault], "{proof}");
    }
}

#[test]
fn a_list_of_exceptions_fails_when_an_entry_is_out_of_date() {
    let with = |proof: &str, list: &str| found_in(&format!("{}\n## Not yet\n\n{list}\n", page_of(proof)));
    assert_eq!(with("-", "- **`X`**: not built"), Vec::<String>::new());
    assert_eq!(with("`a.rs::plain`", "- **`X`**: not built"), ["one: `X` is listed and has a test"]);
    let other = ["one: `X` has no test and is not listed", "one: `Y` is listed and is no row"];
    assert_eq!(with("-", "- **`Y`**: not built"), other);
}

#[test]
fn a_row_that_went_missing_or_came_twice_is_found() {
    let page = page_of("`a.rs::plain`");
    assert_eq!(found_in(&page.replace("(1)", "(2)")), ["one: 2 rows are announced and 1 there"]);
    let twice = format!("{}| `X` | again | `a.rs::waits` |\n", page.replace("(1)", "(2)"));
    assert_eq!(found_in(&twice), ["one: `X` is there twice"]);
}
