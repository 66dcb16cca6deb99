//! The pages that users read keep their word: the guide is whole and linked, its programs are compiled, and
//! every name that `docs/from-go.md` and its like give is one of the crate's.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::rust::{assert_all_still, words};

/// The pages that say what something of another library is called here, in the second cell of a row.
const TRANSLATIONS: [&str; 3] = ["docs/from-go.md", "docs/from-axum.md", "docs/from-reqwest.md"];

/// Words in the code of those cells that are no names of the crate: of Rust, of other crates, and of what the cells
/// call their own.
const FOREIGN: &str = "Arc FILES NOT_FOUND None Option Some StatusCode addr async await cert client content \
                       copy error file format grace handler http_body impl into key listener max_memory mut mux new \
                       next pairs path request response state tokio true";

#[test]
fn every_page_of_the_guide_is_in_its_index_and_compiled() {
    let (index, compiled) = (read("docs/guide/README.md"), read("src/pages.rs"));
    for page in pages_of_the_guide() {
        assert!(index.contains(&format!("]({page})")), "docs/guide/README.md has no link to {page}");
        assert!(compiled.contains(&format!("/docs/guide/{page}\"")), "src/pages.rs does not compile {page}");
    }
    for page in TRANSLATIONS.iter().chain(&["README.md"]) {
        assert!(compiled.contains(page), "src/pages.rs does not compile {page}");
    }
}

#[test]
fn every_public_module_names_its_page() {
    let root = read("src/lib.rs");
    let pages = pages_of_the_guide();
    for name in root.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')) {
        if name == "fuzzing" {
            continue;
        }
        let file = [format!("src/{name}.rs"), format!("src/{name}/mod.rs")].into_iter().find(|path| is_there(path));
        let text = read(&file.expect("a module has a file"));
        let documentation = text.lines().take_while(|line| line.starts_with("//!")).collect::<Vec<_>>().join("\n");
        let named = pages.iter().filter(|page| documentation.contains(&format!("`docs/guide/{page}`")));
        assert!(named.count() > 0, "the documentation of the module {name} names no page of docs/guide");
    }
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let guide = pages_of_the_guide().into_iter().map(|page| format!("docs/guide/{page}"));
    let others = ["README.md", "docs/command.md", "docs/guide/README.md", "examples/README.md"].map(str::to_owned);
    for page in guide.chain(others).chain(TRANSLATIONS.map(str::to_owned)) {
        let folder = Path::new(&page).parent().expect("it lies in a folder");
        for link in links(&read(&page)) {
            let path = link.split('#').next().unwrap_or("");
            let is_page = path.is_empty() || link.contains("://") || is_there(&folder.join(path).to_string_lossy());
            assert!(is_page, "{page} has a link to {link}, which is not there");
        }
    }
}

#[test]
fn every_name_that_a_translation_gives_is_one_of_the_crate() {
    let known = public_words();
    let foreign: Vec<&str> = FOREIGN.split_whitespace().collect();
    let mut unknown = BTreeSet::new();
    let mut used = BTreeSet::new();
    for page in TRANSLATIONS {
        for word in names_here(&read(page)) {
            used.insert(word.clone());
            if !known.contains(&word) && !foreign.contains(&word.as_str()) {
                unknown.insert(format!("{page}: {word}"));
            }
        }
    }
    assert!(unknown.is_empty(), "docs/public-api.txt does not have {unknown:#?}");
    assert_all_still(&foreign, |word| used.contains(word));
}

#[test]
fn every_exported_name_of_go_is_accounted_for() {
    let rows = read("docs/parity/go-identifiers.tsv");
    let rows: Vec<&str> = rows.lines().filter(|line| !line.starts_with('#')).collect();
    let names: BTreeSet<&str> = rows.iter().filter_map(|row| row.split('\t').next()).collect();
    assert!(names.len() > 600, "{} names", names.len());
    assert_eq!(names.len(), rows.len(), "a name is there twice");
    let public = public_names(&read("docs/public-api.txt"));
    let faults: Vec<String> = rows.iter().filter_map(|row| unaccounted(row, &public)).collect();
    assert!(faults.is_empty(), "docs/parity/go-identifiers.tsv:\n{}", faults.join("\n"));
}

#[test]
fn every_feature_of_peers_is_accounted_for() {
    let rows = read("docs/parity/peers-features.tsv");
    let rows: Vec<&str> = rows.lines().filter(|line| !line.starts_with('#')).collect();
    let features: BTreeSet<&str> = rows.iter().filter_map(|row| row.split('\t').next()).collect();
    assert!(features.len() > 300, "{} features", features.len());
    assert_eq!(features.len(), rows.len(), "a feature is there twice");
    let public = public_names(&read("docs/public-api.txt"));
    let faults: Vec<String> = rows.iter().filter_map(|row| unaccounted(row, &public)).collect();
    assert!(faults.is_empty(), "docs/parity/peers-features.tsv:\n{}", faults.join("\n"));
}

#[test]
fn every_trap_of_gos_names_is_warned_of() {
    let marked = marked_traps(&read("docs/parity/go-identifiers.tsv"));
    let warned_of = numbered_traps(&read("docs/from-go.md"));
    assert!(warned_of.len() > 16, "{warned_of:?}");
    assert_eq!(marked, warned_of, "those of docs/parity/go-identifiers.tsv, and those of docs/from-go.md");
}

#[test]
fn a_trap_that_one_page_does_not_have_is_found() {
    assert_eq!(marked_traps("A\tb\ttrap 1\nB\t-\twhy; traps 2 and 11\nC\tc\ta strap 7\n"), [1, 2, 11].into());
    let page = "1. no\n\n## Traps\n\n1. **One.** Text\n   of it.\n2. **Two.**\n\n## Then\n\n3. no\n";
    assert_eq!(numbered_traps(page), [1, 2].into());
}

/// The numbers behind `trap` or `traps` in the last column.
fn marked_traps(rows: &str) -> BTreeSet<u32> {
    let reasons = rows.lines().filter(|row| !row.starts_with('#')).filter_map(|row| row.rsplit('\t').next());
    let notes = reasons.flat_map(|reason| reason.split("; "));
    let traps = notes.filter(|note| note.starts_with("trap ") || note.starts_with("traps "));
    traps.flat_map(|note| words(note).filter_map(|(_, word)| word.parse().ok())).collect()
}

/// The numbers of the list below the heading `Traps`.
fn numbered_traps(page: &str) -> BTreeSet<u32> {
    let section =
        page.lines().skip_while(|line| *line != "## Traps").skip(1).take_while(|line| !line.starts_with("## "));
    section.filter_map(|line| line.split_once(". **")?.0.parse().ok()).collect()
}

#[test]
fn a_name_that_is_not_accounted_for_is_found() {
    let listing = "nethttp::A: field b: u8\nnethttp::A::new: fn new() -> A    // unix\nnethttp::E: #[default] variant One\n\
                   nethttp::T: provided async fn go(&self)\nuse nethttp::Uri = http::Uri\nnethttp::m::f: fn f()\n";
    let public = public_names(listing);
    for here in
        ["nethttp::A.b", "nethttp::A::new", "nethttp::E::One", "nethttp::T::go", "nethttp::Uri::host", "nethttp::m::f"]
    {
        assert_eq!(unaccounted(&format!("net/http.X\t{here}\t"), &public), None, "{here}");
    }
    for row in ["X\tnethttp::A.c\t", "X\tnethttp::B\t", "X\t-\t", "X\tnethttp::A", "X", "X\tf\t"] {
        assert!(unaccounted(row, &public).is_some(), "{row}");
    }
}

/// What is wrong with a row: a name of Go's, what it is here or `-`, and why.
fn unaccounted(row: &str, public: &BTreeSet<String>) -> Option<String> {
    let [_, here, why] = row.split('\t').collect::<Vec<_>>()[..] else {
        return Some(format!("{row}: not three columns"));
    };
    // What the crate `http` defines is known by its type alone.
    let of_http = ["Method", "StatusCode", "Uri"].iter().any(|name| here.starts_with(&format!("nethttp::{name}::")));
    match here {
        "-" if why.is_empty() => Some(format!("{row}: no reason")),
        "-" => None,
        _ if of_http || public.contains(here) => None,
        _ => Some(format!("{row}: docs/public-api.txt has no {here}")),
    }
}

/// The names of the listing: items, methods, fields as `Type.field` and variants as `Type::Variant`.
fn public_names(listing: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in listing.lines() {
        if let Some((name, _)) = line.strip_prefix("use ").and_then(|used| used.split_once(" = ")) {
            names.insert(name.to_owned());
        }
        let Some((owner, what)) = line.split_once(": ").filter(|_| line.starts_with("nethttp::")) else { continue };
        names.insert(owner.to_owned());
        let mut all = words(what).map(|(_, word)| word).skip_while(|word| !["field", "variant", "fn"].contains(word));
        match (all.next(), all.next()) {
            (Some("field"), Some(name)) => names.insert(format!("{owner}.{name}")),
            (Some(_), Some(name)) => names.insert(format!("{owner}::{name}")),
            _ => false,
        };
    }
    names
}

#[test]
fn what_a_page_calls_something_is_read_from_the_code_of_the_second_cell() {
    let page =
        "| there | here |\n| --- | --- |\n| `http.Get(u)` | `get(url)`; not `a.jar = Some(…)` or jar |\ntext `other`\n";
    assert_eq!(names_here(page), ["get", "url", "jar", "Some"]);
    assert_eq!(links("see [a](a.md#b) and [b](c.md)"), ["a.md#b", "c.md"]);
}

/// The words of more than two letters in the code of each row's second cell.
fn names_here(page: &str) -> Vec<String> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = rows.filter_map(|row| row.split_once(" | ").map(|(_, here)| here));
    let code = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    // Texts in quotes say nothing about names.
    let code = code.flat_map(|code| code.split('"').step_by(2));
    code.flat_map(words).map(|(_, word)| word.to_owned()).filter(|word| word.len() > 2 && word != "here").collect()
}

/// Every part of a public name: modules, types, methods, fields, variants.
fn public_words() -> BTreeSet<String> {
    let names = public_names(&read("docs/public-api.txt"));
    names.iter().flat_map(|name| words(name)).map(|(_, word)| word.to_owned()).collect()
}

fn links(page: &str) -> Vec<&str> {
    page.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link).collect()
}

fn pages_of_the_guide() -> Vec<String> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide")).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned());
    names.filter(|name| name != "README.md").collect()
}

fn is_there(path: &str) -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists()
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
