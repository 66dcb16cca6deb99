//! No files import each other in a circle, however long, inside a folder too.
//!
//! A file needs another where it names something that is defined there: in a `use`, or by a path in its
//! code. Both are resolved as the compiler does: `crate`, `self`, `super` and modules in scope, through
//! whatever re-exports a name, to the file that defines it. So a folder's `mod.rs` may re-export what
//! its files define, which ties it to none of them; what it uses itself, it needs. Calls of methods say
//! no path and are not seen.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use crate::rust::{group_end, is_word, items, modules_open_at, product_code_of, sources, words};

#[test]
fn no_files_need_each_other() {
    let tree = Tree::of(&sources());
    let circles: Vec<String> = tree.circles().iter().map(|circle| tree.describe(circle)).collect();
    assert!(circles.is_empty(), "files that need each other:\n\n{}", circles.join("\n"));
}

// ------------------------------------------------------------ who needs whom

/// The files of a crate, each with what it needs.
#[derive(Default)]
pub(crate) struct Tree {
    files: Vec<File>,
    /// The file of each module, by its path: `server::http1`.
    modules: HashMap<String, usize>,
    /// What one file names of another's.
    needs: BTreeMap<(usize, usize), BTreeSet<String>>,
}

#[derive(Default)]
struct File {
    path: String,
    module: Vec<String>,
    code: String,
    /// What it defines outside of blocks.
    defined: HashSet<String>,
    /// What its `use`s bind, and to which path from the crate's root; to none where it leads out of it.
    bound: HashMap<String, Option<Vec<String>>>,
    /// The modules whose names all are in scope.
    globs: Vec<Vec<String>>,
}

/// One name that a `use` brings in.
struct Use {
    at: usize,
    path: Vec<String>,
    binds: String,
    is_reexport: bool,
}

impl Tree {
    fn of(sources: &[(String, String)]) -> Tree {
        let mut tree = Tree::of_names(sources);
        for at in 0..tree.files.len() {
            tree.find_needs(at);
        }
        tree
    }

    /// The files with what they define and bind, and without what they need, which takes long to find.
    pub(crate) fn of_names(sources: &[(String, String)]) -> Tree {
        let mut tree = Tree { files: Vec::new(), modules: HashMap::new(), needs: BTreeMap::new() };
        for (path, text) in sources {
            let code = product_code_of(path, text);
            // The crate's root names all, and nothing names it.
            if path == "src/lib.rs" || code.trim().is_empty() {
                continue;
            }
            let defined = items(&code).into_iter().map(|item| item.name.to_owned()).collect();
            let file = File { path: path.clone(), module: module_path(path), defined, code, ..File::default() };
            tree.modules.insert(file.module.join("::"), tree.files.len());
            tree.files.push(file);
        }
        tree.add_modules_with_another_name(sources);
        for at in 0..tree.files.len() {
            tree.bind(at);
        }
        tree
    }

    /// `#[path = "log_stderr.rs"] mod log;`: the module `log` is that file, or one of several.
    fn add_modules_with_another_name(&mut self, sources: &[(String, String)]) {
        for (path, text) in sources {
            for declaration in text.split("#[path = \"").skip(1) {
                let Some((file, rest)) = declaration.split_once("\"]") else { continue };
                let Some((_, name)) = rest.split(';').next().unwrap_or("").rsplit_once("mod ") else { continue };
                let Some((folder, _)) = path.rsplit_once('/') else { continue };
                let place = self.files.iter().position(|other| other.path == format!("{folder}/{file}"));
                let module = [module_path(path), vec![name.to_owned()]].concat().join("::");
                if let Some(place) = place {
                    self.modules.entry(module).or_insert(place);
                }
            }
        }
    }

    /// Notes what the `use`s of a file bind.
    fn bind(&mut self, at: usize) {
        for used in uses(&self.files[at].code) {
            let target = self.absolute(at, used.at, &used.path);
            let file = &mut self.files[at];
            match (used.binds.as_str(), target) {
                ("*", Some(mut target)) => {
                    target.pop();
                    file.globs.push(target);
                }
                ("*", None) => {}
                (_, target) => {
                    file.bound.insert(used.binds, target);
                }
            }
        }
    }

    fn find_needs(&mut self, at: usize) {
        let file = &self.files[at];
        let code = without_uses(&file.code);
        let mut named = Vec::new();
        for used in uses(&file.code) {
            if !used.is_reexport || is_used(&code, &used.binds) {
                named.extend(self.absolute(at, used.at, &used.path));
            }
        }
        for (place, path) in paths(&code) {
            named.extend(self.absolute(at, place, &path));
        }
        for path in named {
            if let Some((other, name)) = self.definition(&path, 8) {
                if other != at {
                    self.needs.entry((at, other)).or_default().insert(name);
                }
            }
        }
    }

    /// A path as it counts from the crate's root; none where it leads to another crate.
    fn absolute(&self, file: usize, at: usize, path: &[String]) -> Option<Vec<String>> {
        let file = &self.files[file];
        let mut base = file.module.clone();
        base.extend(modules_open_at(&file.code[..at]));
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => return Some(path[1..].to_vec()),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|first| first == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            first => {
                let child = [base.as_slice(), &path[..1]].concat().join("::");
                if !self.modules.contains_key(&child) {
                    // A module that a `use` brought into scope.
                    let target = file.bound.get(first)?.clone()?;
                    let is_module = self.modules.contains_key(&target.join("::"));
                    return is_module.then(|| [target.as_slice(), &path[1..]].concat());
                }
            }
        }
        Some([base.as_slice(), rest].concat())
    }

    /// The file that defines what a path leads to, and its name there; none for a module as such.
    fn definition(&self, path: &[String], steps: u32) -> Option<(usize, String)> {
        let depth = (0..=path.len()).rev().find(|&depth| self.modules.contains_key(&path[..depth].join("::")))?;
        let at = self.modules[&path[..depth].join("::")];
        let name = path.get(depth)?;
        let file = &self.files[at];
        if file.defined.contains(name) || steps == 0 {
            return Some((at, name.clone()));
        }
        if let Some(target) = file.bound.get(name) {
            let target = [target.as_ref()?.as_slice(), &path[depth + 1..]].concat();
            return self.definition(&target, steps - 1);
        }
        let through = file.globs.iter().map(|glob| [glob.as_slice(), &path[depth..]].concat());
        let mut found = through.filter_map(|path| self.definition(&path, steps - 1));
        found.find(|(at, name)| self.files[*at].defined.contains(name)).or_else(|| Some((at, name.clone())))
    }

    /// The path of the file that defines what a path from the crate's root leads to, and its name there.
    pub(crate) fn file_that_defines(&self, path: &[String]) -> Option<(String, String)> {
        // A module and a function in it may have one name: `m::error` is then what `m` re-exports.
        let (name, folder) = path.split_last()?;
        let re_exported = match self.modules.get(&path.join("::")).and(self.modules.get(&folder.join("::"))) {
            Some(&folder) => self.files[folder].bound.get(name).cloned().flatten(),
            None => None,
        };
        let (at, name) = self.definition(re_exported.as_deref().unwrap_or(path), 8)?;
        Some((self.files[at].path.clone(), name))
    }

    /// What a `use` of this file brings in: its path from the crate's root (none where it leads to another crate),
    /// the name that it has here, and the path as it is written.
    pub(crate) fn resolved(&self, file: &str, used: &str) -> Vec<(Option<Vec<String>>, String, String)> {
        let from_root = |path: &[String]| match self.files.iter().position(|other| other.path == file) {
            Some(at) => self.absolute(at, 0, path),
            // The root is none of the files: a path in it begins with one of its modules, or in another crate.
            None => self.modules.contains_key(&path[0]).then(|| path.to_vec()),
        };
        expand(used).into_iter().map(|(path, name)| (from_root(&path), name, path.join("::"))).collect()
    }

    /// The file that defines what this file calls by a name alone: itself, or another by a `use`.
    pub(crate) fn definition_for(&self, file: &str, name: &str) -> Option<String> {
        let file = self.files.iter().find(|other| other.path == file)?;
        if file.defined.contains(name) {
            return Some(file.path.clone());
        }
        let target = file.bound.get(name)?.as_ref()?;
        self.file_that_defines(target).map(|(path, _)| path)
    }

    // -------------------------------------------------------- circles

    /// The largest sets of files that all need each other.
    fn circles(&self) -> Vec<Vec<usize>> {
        let reached: Vec<HashSet<usize>> = (0..self.files.len()).map(|from| self.reached_from(from)).collect();
        let mut circles = BTreeSet::new();
        for from in 0..self.files.len() {
            let circle: Vec<usize> = (0..self.files.len())
                .filter(|&to| reached[from].contains(&to) && reached[to].contains(&from))
                .collect();
            circles.insert(circle);
        }
        circles.into_iter().filter(|circle| !circle.is_empty()).collect()
    }

    fn reached_from(&self, from: usize) -> HashSet<usize> {
        let mut reached = HashSet::new();
        let mut waiting = vec![from];
        while let Some(at) = waiting.pop() {
            waiting.extend(self.needed_by(at).filter(|&to| reached.insert(to)));
        }
        reached
    }

    fn needed_by(&self, from: usize) -> impl Iterator<Item = usize> {
        self.needs.range((from, 0)..(from + 1, 0)).map(|(&(_, to), _)| to)
    }

    /// The folder that all of these lie in.
    fn folder_of(&self, circle: &[usize]) -> String {
        let mut folder = self.files[circle[0]].path.clone();
        while !circle.iter().all(|&at| self.files[at].path.starts_with(&format!("{folder}/"))) {
            folder.truncate(folder.rfind('/').unwrap_or(0));
        }
        folder
    }

    /// Its shortest way around, and all that ties its files.
    fn describe(&self, circle: &[usize]) -> String {
        let folder = self.folder_of(circle);
        let short = |at: usize| self.files[at].path.trim_start_matches(&folder).trim_start_matches('/').to_owned();
        let ways = circle.iter().filter_map(|&from| self.way_around(from));
        let shortest = ways.min_by_key(Vec::len).unwrap_or_default();
        let way: Vec<String> = shortest.iter().map(|&at| short(at)).collect();
        let mut said = format!("in {folder}: {}\n", way.join(" -> "));
        for ((from, to), names) in &self.needs {
            if circle.contains(from) && circle.contains(to) {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                said += &format!("    {} -> {}: {}\n", short(*from), short(*to), names.join(", "));
            }
        }
        said
    }

    /// The shortest way from a file back to it.
    fn way_around(&self, from: usize) -> Option<Vec<usize>> {
        let mut ways = VecDeque::from([vec![from]]);
        let mut seen = HashSet::new();
        while let Some(way) = ways.pop_front() {
            for to in self.needed_by(*way.last()?) {
                let longer = [way.as_slice(), &[to]].concat();
                if to == from {
                    return Some(longer);
                }
                if seen.insert(to) {
                    ways.push_back(longer);
                }
            }
        }
        None
    }
}

// ------------------------------------------------------------ paths and uses

/// `src/h1/chunked.rs` is the module `h1::chunked`, `src/h1/mod.rs` is `h1`.
fn module_path(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// Where each `use` begins, and its text up to the semicolon.
fn use_items(code: &str) -> Vec<(usize, &str)> {
    let starts = words(code).filter(|&(at, word)| word == "use" && code[at..].starts_with("use "));
    starts.filter_map(|(at, _)| Some((at, &code[at..at + code[at..].find(';')?]))).collect()
}

/// Every name that a `use` of this code brings in.
fn uses(code: &str) -> Vec<Use> {
    let mut found = Vec::new();
    for (at, text) in use_items(code) {
        let before = code[..at].trim_end();
        let line = before[before.rfind(['\n', ';', '{', '}']).map_or(0, |end| end + 1)..].trim_start();
        let is_reexport = line.split(|c| !is_word(c)).next() == Some("pub");
        for (path, binds) in expand(&text["use ".len()..]) {
            found.push(Use { at, path, binds, is_reexport });
        }
    }
    found
}

/// `a::{b, c as d}` is `a::b`, which binds `b`, and `a::c`, which binds `d`.
pub(crate) fn expand(tree: &str) -> Vec<(Vec<String>, String)> {
    let tree = tree.trim().trim_start_matches("::");
    let segments = |path: &str| path.split("::").map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect();
    let Some(brace) = tree.find('{') else {
        let (path, renamed) = tree.split_once(" as ").map_or((tree, None), |(path, name)| (path, Some(name.trim())));
        let mut path: Vec<String> = segments(path);
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let binds = renamed.or(path.last().map(String::as_str)).unwrap_or_default().to_owned();
        return vec![(path, binds)];
    };
    let before: Vec<String> = segments(&tree[..brace]);
    let group = &tree[brace + 1..brace + group_end(&tree[brace..]) - 1];
    let mut depth = 0;
    let members = group.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    let inner = members.filter(|member| !member.trim().is_empty()).flat_map(expand);
    inner
        .map(|(path, binds)| {
            let path = [before.as_slice(), &path].concat();
            // `a::{self}` binds `a`.
            if binds == "self" { (before.clone(), before.last().cloned().unwrap_or_default()) } else { (path, binds) }
        })
        .collect()
}

/// The code with its `use`s made blank.
fn without_uses(code: &str) -> String {
    let mut left = code.to_owned();
    for (at, text) in use_items(code) {
        left.replace_range(at..at + text.len(), &" ".repeat(text.len()));
    }
    left
}

/// Whether the code names this, which is neither a method nor what the code defines itself.
fn is_used(code: &str, name: &str) -> bool {
    words(code).any(|(at, word)| word == name && !code[..at].ends_with('.') && !code[..at].ends_with("fn "))
}

/// Every path of two or more words, and where it begins.
fn paths(code: &str) -> Vec<(usize, Vec<String>)> {
    let begins = |at: usize| !code[..at].ends_with("::") && !code[..at].ends_with("in ");
    let starts = words(code).filter(|&(at, word)| begins(at) && code[at + word.len()..].starts_with("::"));
    starts
        .map(|(at, _)| {
            let mut path = Vec::new();
            let mut rest = &code[at..];
            loop {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                path.push(rest[..end].to_owned());
                match rest[end..].strip_prefix("::").filter(|rest| rest.starts_with(is_word)) {
                    Some(shorter) => rest = shorter,
                    None => return (at, path),
                }
            }
        })
        .collect()
}

// ------------------------------------------------------------ the rule finds what it is for

/// The circles among files of these names and texts, each as the paths in it.
fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let sources: Vec<(String, String)> =
        files.iter().map(|&(path, text)| (format!("src/{path}"), text.to_owned())).collect();
    let tree = Tree::of(&sources);
    let path = |at: &usize| tree.files[*at].path.trim_start_matches("src/").to_owned();
    tree.circles().iter().map(|circle| circle.iter().map(path).collect()).collect()
}

#[test]
fn a_circle_is_found_however_its_names_are_spelt() {
    for (a, b) in [
        ("use super::b::B; struct A;", "use super::a::A; struct B;"),
        ("use crate::m::{b::{B}, c}; struct A;", "use crate::m::a::A as Other; struct B;"),
        ("struct A(super::b::B);", "fn f(a: crate::m::a::A) {} struct B;"),
        ("use super::b; fn f() { b::g() } struct A;", "use super::a::*; fn g() {}"),
        ("use super::B; struct A;", "use super::A; struct B;"),
        ("mod c { use super::super::b::B; } struct A;", "use super::a::A; struct B;"),
    ] {
        let files =
            [("m/a.rs", a), ("m/b.rs", b), ("m/mod.rs", "mod a; mod b; pub use a::A; pub(crate) use self::b::B;")];
        assert_eq!(circles_of(&files), [["m/a.rs", "m/b.rs"]], "{a} | {b}");
    }
}

#[test]
fn a_circle_over_a_third_file_or_over_the_folders_own_is_found() {
    let three = [
        ("m/a.rs", "use super::b::B; struct A;"),
        ("m/b.rs", "use super::c::C; struct B;"),
        ("m/c.rs", "use super::a::A; struct C;"),
    ];
    assert_eq!(circles_of(&three), [["m/a.rs", "m/b.rs", "m/c.rs"]]);
    let built = [("m/a.rs", "use super::M; pub struct A;"), ("m/mod.rs", "mod a; pub use a::A; struct M(A);")];
    assert_eq!(circles_of(&built), [["m/a.rs", "m/mod.rs"]]);
    let renamed =
        [("m/real.rs", "use super::M; pub struct A;"), ("m/mod.rs", "#[path = \"real.rs\"]\nmod a; struct M(a::A);")];
    assert_eq!(circles_of(&renamed), [["m/real.rs", "m/mod.rs"]]);
}

#[test]
fn what_is_no_circle_is_not_found() {
    for files in [
        [("m/a.rs", "use super::b::B; struct A;"), ("m/b.rs", "struct B; // use super::a::A;")],
        [("m/a.rs", "use super::b::B; struct A;"), ("m/b.rs", "#[cfg(test)] mod tests { use super::super::a::A; }")],
        [("m/a.rs", "use super::b::B; struct A;"), ("m/b.rs", "pub(in crate::m::a) struct B;")],
        [("m/a.rs", "use super::M; pub struct A;"), ("m/mod.rs", "mod a; pub use a::A; pub struct M;")],
        [("m/a.rs", "use bytes::B; struct A;"), ("m/b.rs", "use super::a::A; struct B;")],
        [("m/a.rs", "use super::b::B; struct A;"), ("m/tests.rs", "use super::a::A;")],
        [("m/a.rs", "use super::B; struct A;"), ("m/mod.rs", "mod a; pub use bytes::B; use a::A; struct M(A);")],
    ] {
        assert_eq!(circles_of(&files), Vec::<Vec<String>>::new(), "{files:?}");
    }
}

#[test]
fn a_circle_is_reported_with_the_names_that_form_it() {
    let sources = [("a", "use super::b::B; struct A;"), ("b", "use super::a::A; struct B;")];
    let sources = sources.map(|(name, text)| (format!("src/m/{name}.rs"), text.to_owned()));
    let tree = Tree::of(&sources);
    let told = tree.describe(&tree.circles()[0]);
    assert_eq!(told, "in src/m: a.rs -> b.rs -> a.rs\n    a.rs -> b.rs: B\n    b.rs -> a.rs: A\n");
}
