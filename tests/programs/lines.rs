//! The table of `README.md` says how long each program is: this counts again.

use std::fs;
use std::path::Path;

/// What stands above a program's tests.
const TRIED: &str = "// ------------------------------------------------------------ tried";

/// Lines without the blank ones, tests and the comment at the top left out.
fn program_lines(text: &str) -> usize {
    let program = text.split(TRIED).next().unwrap_or_default();
    program.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("//!")).count()
}

#[test]
fn the_table_has_each_program_with_its_length() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
    let table = fs::read_to_string(folder.join("README.md")).unwrap();
    let mut missing = String::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if matches!(name, "README.md" | "main.rs" | "lines.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(TRIED), "{name} has no tests");
        let row = format!("| [{0}]({0}.rs) | {1} |", name.trim_end_matches(".rs"), program_lines(&text));
        if !table.contains(&row) {
            missing += &format!("{row}\n");
        }
    }
    assert!(missing.is_empty(), "README.md does not have these rows:\n{missing}");
}
