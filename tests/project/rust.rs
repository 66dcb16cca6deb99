//! Reading Rust as far as the rules need it: code without comments, literals and tests, words, items.

use std::fs;
use std::ops::Range;
use std::path::Path;

/// One thing that is wrong: the line, and what it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding(pub(crate) usize, pub(crate) String);

/// Every file under `src`, its path from the crate's root on and its text.
pub(crate) fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect_sources(&root.join("src"), &mut paths);
    paths.sort();
    assert!(paths.len() > 10, "only {} files under src: were they all found?", paths.len());
    let text = |path: &String| fs::read_to_string(root.join(path)).expect("a source file is readable text");
    paths.into_iter().map(|path| (path.clone(), text(&path))).collect()
}

pub(crate) fn assert_nothing_found(rule: fn(&str, &str) -> Vec<Finding>) {
    let mut report = String::new();
    for (path, text) in sources() {
        for Finding(line, what) in rule(&path, &text) {
            report += &format!("\n{path}:{line}: {what}");
        }
    }
    assert!(report.is_empty(), "{report}");
}

/// Fails where an entry of a list of what is still to be done is done.
pub(crate) fn assert_all_still(list: &[&str], is_so: impl Fn(&str) -> bool) {
    let done: Vec<&&str> = list.iter().filter(|entry| !is_so(entry)).collect();
    assert!(done.is_empty(), "to be taken off their list: {done:?}");
}

/// The lines in which a rule finds something.
pub(crate) fn lines(rule: fn(&str, &str) -> Vec<Finding>, path: &str, text: &str) -> Vec<usize> {
    rule(path, text).into_iter().map(|Finding(line, _)| line).collect()
}

/// Collects the paths of all `.rs` files, from the crate's root on, with `/` between the parts.
fn collect_sources(folder: &Path, paths: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder of sources is readable") {
        let path = entry.expect("an entry of a folder is readable").path();
        if path.is_dir() {
            collect_sources(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let path = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("it lies in the crate");
            paths.push(path.to_str().expect("names of sources are text").replace('\\', "/"));
        }
    }
}

/// Whether the whole file is one of tests: `tests.rs`, `…_tests.rs`, or anything in a folder `tests`.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.contains("/tests/")
}

/// The code of a file without its tests.
pub(crate) fn product_code_of(path: &str, text: &str) -> String {
    if is_test_file(path) {
        return String::new();
    }
    let mut code = code_of(text);
    for item in test_items(&code) {
        let blank = blanked(&code[item.clone()]);
        code.replace_range(item, &blank);
    }
    code
}

/// The text with every comment, string and character made blank; lines stay where they are.
pub(crate) fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = comment_or_literal(rest);
        let (piece, after) = rest.split_at(skipped.unwrap_or(first.len_utf8()));
        match skipped {
            Some(_) => code += &blanked(piece),
            None => code += piece,
        }
        rest = after;
    }
    code
}

/// Blanks in place of everything but the ends of lines, byte for byte.
pub(crate) fn blanked(piece: &str) -> String {
    piece.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }).collect()
}

/// The length of the comment or literal that the text begins with.
pub(crate) fn comment_or_literal(text: &str) -> Option<usize> {
    let whole = text.len();
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(whole));
    }
    if text.starts_with("/*") {
        return Some(block_comment_end(text));
    }
    if let Some(quoted) = text.strip_prefix('r') {
        let hashes = quoted.len() - quoted.trim_start_matches('#').len();
        let close = format!("\"{}", &quoted[..hashes]);
        let body = quoted[hashes..].strip_prefix('"')?;
        return Some(body.find(&close).map_or(whole, |end| 2 + hashes + end + close.len()));
    }
    if let Some(body) = text.strip_prefix('"') {
        let mut escaped = false;
        let end = body.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        return Some(end.map_or(whole, |end| end + 2));
    }
    let body = text.strip_prefix('\'')?;
    if body.starts_with('\\') {
        return body.get(2..)?.find('\'').map(|end| end + 4);
    }
    // A lifetime has no quote behind its first letter.
    let one = body.chars().next()?.len_utf8();
    body[one..].starts_with('\'').then_some(one + 2)
}

pub(crate) fn block_comment_end(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(found) = text[at..].find("*/").map(|end| at + end) {
        depth += text[at..found].matches("/*").count();
        at = found + 2;
        depth -= 1;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// Where the items marked `#[cfg(test)]` lie.
pub(crate) fn test_items(code: &str) -> Vec<Range<usize>> {
    const MARK: &str = "#[cfg(test)]";
    let mut items: Vec<Range<usize>> = Vec::new();
    for (at, _) in code.match_indices(MARK) {
        if items.last().is_none_or(|item| item.end <= at) {
            items.push(at..at + MARK.len() + item_end(&code[at + MARK.len()..]));
        }
    }
    items
}

/// An item ends with its block, or with a semicolon outside of all brackets.
pub(crate) fn item_end(code: &str) -> usize {
    let end = depths(code).find(|&(_, c, depth)| depth <= 0 && matches!(c, '}' | ';'));
    end.map_or(code.len(), |(at, ..)| at + 1)
}

/// The length of the bracketed group that the code begins with; 0 without one.
pub(crate) fn group_end(code: &str) -> usize {
    match depths(code).find(|&(_, _, depth)| depth == 0) {
        Some((0, ..)) => 0,
        Some((at, ..)) => at + 1,
        None => code.len(),
    }
}

/// Each character, and how deep in brackets the code is behind it.
pub(crate) fn depths(code: &str) -> impl Iterator<Item = (usize, char, i32)> {
    code.char_indices().scan(0, |depth, (at, c)| {
        match c {
            '(' | '[' | '{' => *depth += 1,
            ')' | ']' | '}' => *depth -= 1,
            _ => {}
        }
        Some((at, c, *depth))
    })
}

/// Every word, and where it begins.
pub(crate) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    code.split_inclusive(|c| !is_word(c)).filter_map(move |piece| {
        let start = at;
        at += piece.len();
        let word = piece.trim_end_matches(|c| !is_word(c));
        (!word.is_empty()).then_some((start, word))
    })
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A finding for each word that is meant, given what follows it and the word itself.
pub(crate) fn find_words(code: &str, is_meant: impl Fn(&str, &str) -> bool, what: &str) -> Vec<Finding> {
    words(code)
        .filter(|&(at, word)| is_meant(&code[at + word.len()..], word))
        .map(|(at, _)| Finding(line_of(code, at), what.to_owned()))
        .collect()
}

pub(crate) fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// Something that is defined outside of all blocks, but for `mod name { … }`.
#[derive(Debug)]
pub(crate) struct Item<'a> {
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
    pub(crate) at: usize,
}

pub(crate) fn items(code: &str) -> Vec<Item<'_>> {
    const KINDS: [&str; 9] = ["fn", "struct", "enum", "union", "trait", "type", "const", "static", "macro_rules"];
    let mut found = Vec::new();
    // Of each open bracket, whether it is a module's.
    let mut open: Vec<bool> = Vec::new();
    let mut end = 0;
    let all: Vec<(usize, &str)> = words(code).collect();
    for (n, &(at, word)) in all.iter().enumerate() {
        for (bracket, c) in code[end..at].char_indices().filter(|(_, c)| "()[]{}".contains(*c)) {
            match c {
                '(' | '[' | '{' => open.push(c == '{' && opens_module(&code[..end + bracket])),
                _ => drop(open.pop()),
            }
        }
        end = at + word.len();
        let name = all.get(n + 1).map_or("", |(_, name)| name);
        let declares =
            code[end..].starts_with([' ', '!']) && !matches!(name, "" | "fn" | "unsafe" | "async" | "extern");
        if KINDS.contains(&word) && declares && open.iter().all(|&is_module| is_module) {
            found.push(Item { kind: word, name, at });
        }
    }
    found
}

/// The modules `mod name { … }` that are open where the code ends, from the outermost on.
pub(crate) fn modules_open_at(code: &str) -> Vec<String> {
    let mut open: Vec<Option<String>> = Vec::new();
    for (at, brace) in code.match_indices(['{', '}']) {
        if brace == "}" {
            open.pop();
        } else {
            open.push(opens_module(&code[..at]).then(|| last_word(&code[..at]).to_owned()));
        }
    }
    open.into_iter().flatten().collect()
}

fn opens_module(before: &str) -> bool {
    let name = last_word(before);
    before.trim_end().strip_suffix(name).is_some_and(|rest| !name.is_empty() && last_word(rest) == "mod")
}

fn last_word(code: &str) -> &str {
    let code = code.trim_end();
    &code[code.rfind(|c| !is_word(c)).map_or(0, |at| at + code[at..].chars().next().map_or(1, char::len_utf8))..]
}
