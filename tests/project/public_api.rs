//! `docs/public-api.txt` lists all that a program can name of this crate, so that each change of it is seen
//! in review. `NETHTTP_RENEW_API=1 cargo test --test project` writes it anew.
//!
//! The reader goes by the text of `src`: it starts with what `lib.rs` and its public modules export, finds the
//! file that defines each name, and lists the item with what is public in it, under its name at the root where
//! it has one. An `impl` belongs to the type that it names,
//! wherever it stands; where two types have one name, to that which its file defines or has by a `use`. A trait that `#[derive(…)]`
//! or an `impl` gives is listed; of those that macros of the crate write, the macro's call is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::circles::Tree;
use crate::rust::{
    code_of, group_end, is_test_file, is_word, item_end, items, product_code_of, sources, test_items, words,
};

const LISTING: &str = "docs/public-api.txt";

const RENEW: &str = "NETHTTP_RENEW_API";

#[test]
fn the_public_api_is_as_it_is_listed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(LISTING);
    let now = listing(&sources());
    if std::env::var_os(RENEW).is_some() {
        fs::write(&path, &now).expect("the listing can be written");
    }
    let listed = fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    let (before, after): (BTreeSet<&str>, BTreeSet<&str>) = (listed.lines().collect(), now.lines().collect());
    let gone = before.difference(&after).map(|line| format!("- {line}"));
    let new = after.difference(&before).map(|line| format!("+ {line}"));
    let changes: Vec<String> = gone.chain(new).collect();
    assert!(
        listed == now,
        "the public API is another than {LISTING} says; if that is meant, run\n\n    {RENEW}=1 cargo test --test project\n\n\
         and say it in the changelog:\n{}",
        changes.join("\n")
    );
}

/// The listing: a line for each thing, in the order of their names.
fn listing(sources: &[(String, String)]) -> String {
    let api = Api::of(sources);
    let mut lines = BTreeSet::new();
    for (path, text) in sources {
        if path != "src/lib.rs" && !is_test_file(path) {
            api.list_items(path, text, "", &mut lines);
        }
    }
    lines.extend(api.other.into_values());
    lines.into_iter().map(|line| line + "\n").collect()
}

// ------------------------------------------------------------ what is exported

#[test]
fn a_name_that_is_not_at_the_root_is_in_one_module() {
    let twice = Api::of(&sources()).names_in_two_modules();
    assert!(twice.is_empty(), "a user finds these in two places: {}", twice.join(", "));
}

/// Where something is defined: the file, and the name there.
type Place = (String, String);

/// What `lib.rs` and its public modules export.
#[derive(Default)]
struct Api {
    /// What a name is for users, and the feature that it needs.
    exported: BTreeMap<Place, (String, String)>,
    /// What the root exports.
    at_root: BTreeSet<Place>,
    /// The names that modules give to something.
    in_modules: BTreeMap<Place, Vec<String>>,
    /// The files of public modules: all that is public in them counts. To the module, and its feature.
    modules: BTreeMap<String, (String, String)>,
    /// A line for each module, and for what other crates define, by its path there.
    other: BTreeMap<String, String>,
    /// The types and traits that the crate defines, exported or not.
    defined: BTreeSet<String>,
    /// Those that are exported, by their name inside. To the files that define one, and what users write.
    types: BTreeMap<String, Vec<(String, String)>>,
    tree: Tree,
}

/// One name of a `pub use`.
struct Export {
    /// None for what another crate defines.
    place: Option<Place>,
    /// The path that the `pub use` has.
    target: String,
    /// What users write.
    name: String,
    condition: String,
}

impl Api {
    fn of(sources: &[(String, String)]) -> Api {
        let tree = Tree::of_names(sources);
        let root = sources.iter().find(|(path, _)| path == "src/lib.rs").map_or("", |(_, text)| text.as_str());
        let root_items = read_items(root);
        let mut api = Api::default();
        for item in root_items.iter().filter(|item| item.is_public && !item.is_hidden) {
            if let Some(name) = item.head.strip_prefix("mod ") {
                api.add_module(&tree, sources, name.trim_end_matches(';'), &item.condition);
            }
        }
        // After the modules: the root's names are what users write, wherever else a thing is.
        for export in exports(&tree, "src/lib.rs", "nethttp", "", &root_items) {
            api.at_root.extend(export.place.clone());
            api.add(export);
        }
        for (path, text) in sources {
            let code = product_code_of(path, text);
            // The `static` of `&'static str` looks like an item to the reader of items.
            let types = items(&code).into_iter().filter(|item| item.name.starts_with(|c: char| c.is_uppercase()));
            for item in types {
                api.defined.insert(item.name.to_owned());
                if let Some((name, _)) = api.name_of(path, item.name) {
                    api.types.entry(item.name.to_owned()).or_default().push((path.clone(), name));
                }
            }
        }
        api.tree = tree;
        api
    }

    /// Notes what a public module exports: all that is public in its file, and what the file re-exports.
    fn add_module(&mut self, tree: &Tree, sources: &[(String, String)], name: &str, condition: &str) {
        let public = format!("nethttp::{name}");
        self.other.insert(public.clone(), line(condition, &format!("mod {public}"), ""));
        let is_its_file = |path: &str| path == format!("src/{name}.rs") || path == format!("src/{name}/mod.rs");
        let Some((path, text)) = sources.iter().find(|(path, _)| is_its_file(path)) else { return };
        self.modules.insert(path.clone(), (public.clone(), condition.to_owned()));
        for export in exports(tree, path, &public, condition, &read_items(text)) {
            if let Some(place) = &export.place {
                self.in_modules.entry(place.clone()).or_default().push(export.name.clone());
            }
            self.add(export);
        }
    }

    fn add(&mut self, export: Export) {
        let Export { place, target, name, condition } = export;
        if let Some(place) = place {
            self.exported.insert(place, (name, condition));
        } else {
            let line = line(&condition, &format!("use {name}"), &format!(" = {target}"));
            self.other.insert(target, line);
        }
    }

    fn names_in_two_modules(&self) -> Vec<String> {
        let twice = self.in_modules.iter().filter(|(place, names)| names.len() > 1 && !self.at_root.contains(*place));
        twice.map(|(_, names)| names.join(" and ")).collect()
    }

    /// What users call an item of this file, and the feature that it needs.
    fn name_of(&self, path: &str, name: &str) -> Option<(String, String)> {
        let exported = self.exported.get(&(path.to_owned(), name.to_owned())).cloned();
        let module = self.modules.get(path);
        exported.or_else(|| module.map(|(module, condition)| (format!("{module}::{name}"), condition.clone())))
    }

    /// What users call a type or trait of the crate that a file names.
    fn name_of_type(&self, file: &str, name: &str) -> Option<&str> {
        let types = self.types.get(name)?;
        let meant = match &types[..] {
            [one] => Some(one),
            several => {
                let defined_in = self.tree.definition_for(file, name)?;
                several.iter().find(|(path, _)| *path == defined_in)
            }
        };
        meant.map(|(_, public)| public.as_str())
    }

    /// Whether code names a type or trait that only the crate itself can use.
    fn names_what_is_private(&self, code: &str) -> bool {
        words(code).any(|(_, word)| self.defined.contains(word) && !self.types.contains_key(word))
    }

    /// Lists what a file, or a module inside of it, holds of the public API.
    fn list_items(&self, path: &str, text: &str, condition: &str, lines: &mut BTreeSet<String>) {
        for mut item in read_items(text) {
            item.condition = format!("{condition} {}", item.condition).trim().to_owned();
            if let Some(head) = item.head.strip_prefix("impl") {
                self.list_impl(path, head, &item, lines);
            } else if item.head.starts_with("mod ") {
                self.list_items(path, &item.body, &item.condition, lines);
            } else if item.is_public {
                let Some((name, exported_by)) = self.name_of(path, item.name()) else { continue };
                item.list(&name, &format!("{exported_by} {}", item.condition), lines);
            } else if item.macro_call().is_some_and(|subjects| !self.names_what_is_private(subjects)) {
                // A macro of the crate that implements a trait for each of these.
                lines.insert(line(&item.condition, item.head.trim_end_matches(';'), ""));
            }
        }
    }

    fn list_impl(&self, path: &str, head: &str, item: &Parsed, lines: &mut BTreeSet<String>) {
        let generics = if head.starts_with('<') { angle_end(head) } else { 0 };
        let (subject, bounds) = head[generics..].split_once(" where ").unwrap_or((&head[generics..], ""));
        let (of_trait, target) = split_for(subject.trim());
        let own = last_name(target);
        let public = self.name_of_type(path, own);
        let Some(of_trait) = of_trait else {
            let Some(public) = public else { return };
            for inner in read_items(&item.body) {
                if inner.is_public {
                    let condition = format!("{} {}", item.condition, inner.condition);
                    inner.list(&format!("{public}::{}", inner.name()), &condition, lines);
                }
            }
            return;
        };
        let trait_name = last_name(of_trait);
        let parameters: BTreeSet<&str> = words(&head[..generics]).map(|(_, word)| word).collect();
        let is_private = words(subject)
            .any(|(_, word)| word != own && !parameters.contains(word) && self.names_what_is_private(word));
        // Types of other crates and parameters count where the trait is ours.
        let counts = public.is_some() || (self.name_of_type(path, trait_name).is_some() && !self.defined.contains(own));
        if counts && !is_private && trait_name != "Drop" {
            let bounds = if bounds.is_empty() { String::new() } else { format!(" where {bounds}") };
            let whole = format!("{}{}{bounds}", &head[..generics], format_args!(" {}", subject.trim()));
            lines.insert(line(&item.condition, &format!("impl{whole}"), ""));
        }
    }
}

/// What the `pub use`s of a file export, under the name of its module. `condition` is the module's.
fn exports(tree: &Tree, path: &str, module: &str, condition: &str, items: &[Parsed]) -> Vec<Export> {
    let mut found = Vec::new();
    for item in items.iter().filter(|item| item.is_public) {
        let Some(used) = item.head.strip_prefix("use ") else { continue };
        let own = if item.condition == condition { "" } else { &item.condition };
        for (from_root, name, target) in tree.resolved(path, used.trim_end_matches(';')) {
            let place = from_root.and_then(|path| tree.file_that_defines(&path));
            let condition = format!("{condition} {own}").trim().to_owned();
            found.push(Export { place, target, name: format!("{module}::{name}"), condition });
        }
    }
    found
}

/// A line of the listing. The feature stands behind, so that lines are sorted by what they are about.
fn line(condition: &str, what: &str, more: &str) -> String {
    let condition = condition.trim();
    let condition = if condition.is_empty() { String::new() } else { format!("    // {condition}") };
    format!("{}{condition}", tidy(&format!("{what}{more}")))
}

// ------------------------------------------------------------ items read

/// One item: its attributes as far as they count, its head on one line, and what its braces hold.
#[derive(Debug, Default)]
struct Parsed {
    is_public: bool,
    is_hidden: bool,
    /// What its `#[cfg(…)]`s say.
    condition: String,
    /// The traits that it derives.
    derived: Vec<String>,
    /// `non_exhaustive`, `must_use` and the like.
    attributes: Vec<String>,
    head: String,
    has_body: bool,
    body: String,
}

impl Parsed {
    /// What stands in the brackets, where this is `name!(…);`.
    fn macro_call(&self) -> Option<&str> {
        let (name, subjects) = self.head.split_once("!(")?;
        name.chars().all(is_word).then_some(subjects)
    }

    fn name(&self) -> &str {
        const KINDS: [&str; 8] = ["fn", "struct", "enum", "union", "trait", "type", "const", "static"];
        let all: Vec<&str> = words(&self.head).map(|(_, word)| word).collect();
        let kind = all.iter().position(|word| KINDS.contains(word) && *word != "const");
        let kind = kind.or_else(|| all.iter().position(|word| *word == "const"));
        kind.and_then(|at| all.get(at + 1).copied()).unwrap_or("")
    }

    /// Lists the item under its public name, and what is public inside of it.
    fn list(&self, name: &str, condition: &str, lines: &mut BTreeSet<String>) {
        let own = self.name();
        let Some(at) = words(&self.head).find(|(_, word)| *word == own).map(|(at, _)| at) else { return };
        let marks: String = self.attributes.iter().map(|mark| format!("#[{mark}] ")).collect();
        let mut tail = self.head[at + own.len()..].trim_end_matches(';').to_owned();
        // A parameter that a body may change is no part of what callers see.
        tail = tail.replace("(mut ", "(").replace(", mut ", ", ");
        if self.head.starts_with("struct") && !self.has_body {
            tail = public_places(&tail);
        }
        let kind = self.head[..at].trim();
        lines.insert(line(condition, &format!("{name}: {marks}{kind} {own}{tail}"), ""));
        if !self.derived.is_empty() {
            lines.insert(line(condition, &format!("{name}: derives {}", self.derived.join(", ")), ""));
        }
        match kind.split(' ').next_back().unwrap_or("") {
            "struct" => {
                for field in members(&self.body) {
                    if let (true, false) = (field.is_public, field.is_hidden) {
                        let condition = [condition, &field.condition].join(" ");
                        lines.insert(line(&condition, &format!("{name}: field {}", field.head), ""));
                    }
                }
            }
            "enum" => {
                for variant in members(&self.body) {
                    let condition = [condition, &variant.condition].join(" ");
                    let marks: String = variant.attributes.iter().map(|mark| format!("#[{mark}] ")).collect();
                    lines.insert(line(&condition, &format!("{name}: {marks}variant {}", variant.head), ""));
                }
            }
            "trait" => {
                for inner in read_items(&self.body) {
                    let condition = [condition, &inner.condition].join(" ");
                    let provided = if inner.has_body { "provided " } else { "" };
                    let head = inner.head.trim_end_matches(';').replace("(mut ", "(");
                    lines.insert(line(&condition, &format!("{name}: {provided}{head}"), ""));
                }
            }
            _ => {}
        }
    }
}

/// The items of a file, of an `impl` or of a trait, in their order.
fn read_items(text: &str) -> Vec<Parsed> {
    let code = code_of(text);
    let tests = test_items(&code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < code.len() {
        at += code[at..].len() - code[at..].trim_start().len();
        if at >= code.len() {
            break;
        }
        let mut item = Parsed::default();
        let start = at;
        at = read_attributes(text, &code, at, &mut item);
        let end = at + item_end(&code[at..]).max(1);
        let is_test = tests.iter().any(|tests| tests.start == start || tests.contains(&at));
        let whole = &code[at..end];
        let whole = item.without_visibility(whole);
        // A `use` has braces of its own, and the value of a constant may.
        let is_flat = ["use", "const ", "static", "type"].iter().any(|kind| whole.starts_with(kind))
            && !whole.starts_with("const fn");
        let brace = if is_flat { None } else { whole.find('{') };
        let head_start = end - whole.len();
        let head_end = brace.map_or(end, |brace| head_start + brace);
        // Literals count in values, comments do not.
        item.head = tidy(&uncommented(&text[head_start..head_end], &code[head_start..head_end]));
        if brace.is_some() {
            item.has_body = true;
            item.body = text[head_end + 1..end - 1].to_owned();
        }
        if !is_test && !item.head.is_empty() {
            found.push(item);
        }
        at = end;
    }
    found
}

/// The fields of a struct or the variants of an enum.
fn members(body: &str) -> Vec<Parsed> {
    let code = code_of(body);
    let mut found = Vec::new();
    let (mut at, mut depth, mut angles) = (0, 0, 0);
    let mut ends: Vec<usize> = Vec::new();
    for (place, c) in code.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '<' => angles += 1,
            '>' if !code[..place].ends_with(['-', '=']) => angles -= 1,
            ',' if depth == 0 && angles == 0 => ends.push(place),
            _ => {}
        }
    }
    ends.push(code.len());
    for end in ends {
        let mut member = Parsed::default();
        let start = read_attributes(body, &code, at, &mut member);
        let head = member.without_visibility(&code[start..end]).to_owned();
        member.head = tidy(&head);
        at = end + 1;
        if !member.head.is_empty() {
            found.push(member);
        }
    }
    found
}

/// Takes the attributes that stand here, and says where they end.
fn read_attributes(text: &str, code: &str, from: usize, item: &mut Parsed) -> usize {
    let mut at = from;
    loop {
        at += code[at..].len() - code[at..].trim_start().len();
        let inner = usize::from(code[at..].starts_with("#!"));
        if !code[at..].starts_with('#') {
            return at;
        }
        let open = at + 1 + inner;
        let end = open + group_end(&code[open..]);
        let attribute = tidy(&text[open + 1..end - 1]);
        if inner == 0 {
            if let Some(condition) = attribute.strip_prefix("cfg(") {
                item.condition = [item.condition.as_str(), condition.strip_suffix(')').unwrap_or(condition)]
                    .join(" ")
                    .trim()
                    .to_owned();
            } else if let Some(traits) = attribute.strip_prefix("derive(") {
                item.derived.extend(traits.trim_end_matches(')').split(',').map(|name| name.trim().to_owned()));
            } else if attribute == "doc(hidden)" {
                item.is_hidden = true;
                item.attributes.push("doc(hidden)".to_owned());
            } else if ["non_exhaustive", "must_use", "deprecated", "repr", "default"]
                .iter()
                .any(|kept| attribute.starts_with(kept))
            {
                item.attributes.push(attribute.split(" =").next().unwrap_or("").to_owned());
            }
        }
        at = end;
    }
}

impl Parsed {
    /// Notes whether this is `pub`, and returns what stands behind.
    fn without_visibility<'a>(&mut self, code: &'a str) -> &'a str {
        let code = code.trim_start();
        let Some(rest) = code.strip_prefix("pub") else { return code };
        if rest.starts_with('(') {
            return rest[group_end(rest)..].trim_start();
        }
        self.is_public = true;
        rest.trim_start()
    }
}

/// The text with what the code has made blank for being a comment left out, and its literals kept.
fn uncommented(text: &str, code: &str) -> String {
    let mut kept = String::new();
    for (text, code) in text.lines().zip(code.lines()) {
        let comment = text.find("//").filter(|&at| code[at..].trim().is_empty() && !text[..at].contains('"'));
        kept += &text[..comment.unwrap_or(text.len())];
        kept.push('\n');
    }
    kept
}

/// In one line, with no space or comma where only the formatting wants one.
fn tidy(code: &str) -> String {
    let mut line = code.split_whitespace().collect::<Vec<_>>().join(" ");
    for (wide, narrow) in [("( ", "("), (", )", ")"), (" )", ")"), (", >", ">"), (", }", " }"), (" ,", ",")] {
        line = line.replace(wide, narrow);
    }
    line.trim().trim_end_matches(',').to_owned()
}

/// `(pub u8, Vec<u8>)` is `(u8, _)`: what is private is only counted.
fn public_places(tail: &str) -> String {
    let Some(open) = tail.find('(') else { return tail.to_owned() };
    let close = open + group_end(&tail[open..]);
    let places = members(&tail[open + 1..close - 1]);
    let shown: Vec<&str> = places.iter().map(|place| if place.is_public { place.head.as_str() } else { "_" }).collect();
    format!("{}({}){}", &tail[..open], shown.join(", "), &tail[close..])
}

/// The length of the `<…>` that the code begins with.
fn angle_end(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if !code[..at].ends_with(['-', '=']) => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// `Trait for Type` is both; a type alone has no trait. The `for` of `for<'a>` is none.
fn split_for(subject: &str) -> (Option<&str>, &str) {
    match subject.split_once(" for ") {
        Some((of_trait, target)) => (Some(of_trait), target),
        None => (None, subject),
    }
}

/// `io::Result<T>` is `Result`.
fn last_name(path: &str) -> &str {
    let path = path.trim_start_matches(['&', ' ']);
    let path = path.split(['<', '(']).next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path).trim()
}

// ------------------------------------------------------------ the reader sees what it is for

fn listed(files: &[(&str, &str)]) -> Vec<String> {
    listing(&sources_of(files)).lines().map(str::to_owned).collect()
}

fn sources_of(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|&(path, text)| (format!("src/{path}"), text.to_owned())).collect()
}

#[test]
fn what_is_exported_is_listed_under_its_public_name_with_its_feature() {
    let files = [
        ("lib.rs", "mod a; #[cfg(feature = \"x\")]\npub use a::{A, f as g}; pub use bytes::Bytes; pub mod m;"),
        ("a/mod.rs", "mod b; pub use b::A; pub fn f(\n    one: u8, // why\n    two: &'static str,\n) -> u8 { 1 }"),
        ("a/b.rs", "/// A.\n#[derive(Clone, Debug)]\npub struct A { pub one: u8, two: u8 } pub struct Hidden;"),
        ("m.rs", "pub const LIMIT: u64 = 1 << 20; const OWN: u8 = 1;"),
    ];
    assert_eq!(
        listed(&files),
        [
            "mod nethttp::m",
            "nethttp::A: derives Clone, Debug    // feature = \"x\"",
            "nethttp::A: field one: u8    // feature = \"x\"",
            "nethttp::A: struct A    // feature = \"x\"",
            "nethttp::g: fn f(one: u8, two: &'static str) -> u8    // feature = \"x\"",
            "nethttp::m::LIMIT: const LIMIT: u64 = 1 << 20",
            "use nethttp::Bytes = bytes::Bytes",
        ]
    );
}

#[test]
fn modules_inside_of_files_are_read_and_a_function_is_found_where_its_module_has_its_name() {
    let files = [
        ("lib.rs", "mod m; pub use m::{Json, error};"),
        (
            "m/mod.rs",
            "mod error; mod json { pub struct Json<T>(pub T); make!(Json); } pub use {error::error, json::Json};",
        ),
        ("m/error.rs", "pub fn error() {}"),
    ];
    assert_eq!(listed(&files), ["make!(Json)", "nethttp::Json: struct Json<T>(T)", "nethttp::error: fn error()"]);
}

#[test]
fn what_a_public_module_re_exports_has_the_roots_name_or_the_modules() {
    let files = [
        ("lib.rs", "#[cfg(x)] pub mod a; pub mod t; mod m; pub use m::Both; pub use bytes::Bytes;"),
        (
            "a/mod.rs",
            "mod b; #[cfg(y)] pub use b::One; pub use crate::m::{Both, Two}; pub(crate) use b::Own; pub use bytes::Bytes;",
        ),
        ("a/b.rs", "pub struct One; pub struct Own;"),
        ("m.rs", "pub struct Both; pub struct Two; impl Two { pub fn go(&self) {} }"),
        ("t.rs", "pub use crate::{a::b::Own, m::Two};"),
    ];
    assert_eq!(
        listed(&files[..4]),
        [
            "mod nethttp::a    // x",
            "mod nethttp::t",
            "nethttp::Both: struct Both",
            "nethttp::a::One: struct One    // x y",
            "nethttp::a::Two: struct Two    // x",
            "nethttp::a::Two::go: fn go(&self)",
            "use nethttp::Bytes = bytes::Bytes",
        ]
    );
    assert_eq!(Api::of(&sources_of(&files)).names_in_two_modules(), ["nethttp::a::Two and nethttp::t::Two"]);
}

#[test]
fn of_two_types_with_one_name_each_has_its_own_methods() {
    let files = [
        ("lib.rs", "mod a; pub mod b; pub use a::S;"),
        ("a.rs", "pub struct S; impl S { pub fn one(&self) {} }"),
        ("b.rs", "pub struct S; impl S { pub fn two(&self) {} }"),
        ("c.rs", "use crate::b::S; impl S { pub fn three(&self) {} }"),
    ];
    let methods = [
        "nethttp::S::one: fn one(&self)",
        "nethttp::b::S::three: fn three(&self)",
        "nethttp::b::S::two: fn two(&self)",
    ];
    let listed: Vec<String> = listed(&files).into_iter().filter(|line| line.contains("fn ")).collect();
    assert_eq!(listed, methods);
}

#[test]
fn members_and_implementations_are_listed_with_their_types() {
    let files = [
        ("lib.rs", "mod a; mod c; pub use a::{E, S, T};"),
        (
            "a.rs",
            "#[non_exhaustive] pub enum E { One, Two(u8), #[cfg(unix)] Three { a: u8 } }\n\
             pub struct S(pub u8, u16);\n\
             pub trait T: Send { type Out; fn must(&self) -> u8; fn may(mut self, n: u8) {} }",
        ),
        (
            "c.rs",
            "use super::a::{S, T}; impl S { pub async fn go(&self) {} pub(crate) fn own() {} }\n\
             impl<X: Send> T for X {} impl From<u8> for S {} impl Drop for S {} trait Own {} impl Own for S {}\n\
             struct Inner; impl From<Inner> for S {}\n\
             struct P; impl T for P {} impl P { pub fn unseen() {} } #[cfg(test)] mod tests { impl Clone for S {} }",
        ),
    ];
    assert_eq!(
        listed(&files),
        [
            "impl From<u8> for S",
            "impl<X: Send> T for X",
            "nethttp::E: #[non_exhaustive] enum E",
            "nethttp::E: variant One",
            "nethttp::E: variant Three { a: u8 }    // unix",
            "nethttp::E: variant Two(u8)",
            "nethttp::S: struct S(u8, _)",
            "nethttp::S::go: async fn go(&self)",
            "nethttp::T: fn must(&self) -> u8",
            "nethttp::T: provided fn may(self, n: u8)",
            "nethttp::T: trait T: Send",
            "nethttp::T: type Out",
        ]
    );
}
