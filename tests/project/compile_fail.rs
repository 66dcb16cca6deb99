//! What the compiler says about the usual mistakes: the crate's own words are in it.
//!
//! Each file in `tests/compile_fail` is a program that does not compile. Its lines that begin with `//~`
//! are what the compiler has to say, in this order: each is a part of a line of its message. Those with
//! `rustc: ` are in the compiler's own words, and are looked for where it is the one that they were taken
//! from ([`COMPILER`]); the others are this crate's, and hold with each.
//!
//! The programs are compiled against the library that these tests were built with, without building
//! anything anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// The version whose own words are in the programs. With a newer one, look at the messages, and write down
/// what is worth keeping.
const COMPILER: &str = "rustc 1.95.";

const OWN_WORDS: &str = "rustc: ";

#[test]
fn the_compiler_says_what_is_wrong_in_the_words_of_this_crate() {
    let library = Library::find();
    let programs = programs();
    assert!(programs.len() >= 10, "{} programs", programs.len());
    let is_known = compiler_version().starts_with(COMPILER);
    let mut wrong = String::new();
    for program in &programs {
        let text = fs::read_to_string(program).expect("it was listed");
        let message = library.compile(program).err().unwrap_or_default();
        if let Err(missing) = judge(&text, &message, is_known) {
            wrong += &format!("{}: {missing}\n{message}\n", program.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Compares what is said with what has to be.
fn judge(program: &str, message: &str, is_known: bool) -> Result<(), String> {
    if !message.contains("error") {
        return Err("it compiles".to_owned());
    }
    let mut lines = message.lines();
    let mut expected_count = 0;
    for expected in program.lines().filter_map(|line| line.strip_prefix("//~ ")) {
        expected_count += 1;
        let expected = match expected.strip_prefix(OWN_WORDS) {
            Some(_) if !is_known => continue,
            Some(own) => own,
            None => expected,
        };
        if !lines.any(|line| line.contains(expected)) {
            return Err(format!("it does not say, after what comes before: {expected:?}"));
        }
    }
    if expected_count == 0 { Err("nothing is expected of it".to_owned()) } else { Ok(()) }
}

fn programs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail");
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut programs: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    programs.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    programs.sort();
    programs
}

/// The library as it was built for these tests, beside their own program.
struct Library {
    file: PathBuf,
    folder: PathBuf,
}

/// A program without a mistake.
const CORRECT: &str = "
    async fn hello(w: &mut nethttp::ResponseWriter, _: &mut nethttp::Request) -> nethttp::Result<()> {
        w.write(\"hello\").await
    }
    fn main() {
        nethttp::ServeMux::new().handle(\"/\", nethttp::Handler::boxed(hello));
    }
";

impl Library {
    /// The one that was built last, of those that have all that the programs use: there may be others with
    /// fewer features.
    fn find() -> Library {
        let own = std::env::current_exe().expect("a test is a program");
        let folder = own.parent().expect("it lies in a folder").to_owned();
        let entries = fs::read_dir(&folder).expect("its folder can be read").filter_map(Result::ok);
        let mut found: Vec<(SystemTime, PathBuf)> = entries
            .filter(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                name.starts_with("libnethttp-") && name.ends_with(".rlib")
            })
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        found.sort();
        let control = std::env::temp_dir().join(format!("nethttp-compiles-{}.rs", std::process::id()));
        fs::write(&control, CORRECT).expect("a temporary file can be written");
        let libraries = found.into_iter().rev().map(|(_, file)| Library { file, folder: folder.clone() });
        let mut why = String::new();
        let library = libraries.into_iter().find(|library| match library.compile(&control) {
            Ok(()) => true,
            Err(message) => {
                why = message;
                false
            }
        });
        _ = fs::remove_file(&control);
        library.unwrap_or_else(|| panic!("a program without a mistake compiles with one of them: {why}"))
    }

    /// Checks a program, and gives what the compiler says where it does not compile.
    fn compile(&self, program: &Path) -> Result<(), String> {
        let output = compiler()
            .args(["--edition=2024", "--crate-type=bin", "--emit=metadata", "--color=never", "--out-dir"])
            // Not `-o /dev/null`: the compiler renames its output, and puts a file where the device was.
            .arg(env!("CARGO_TARGET_TMPDIR"))
            .arg("--extern")
            .arg(format!("nethttp={}", self.file.display()))
            .arg("-L")
            .arg(format!("dependency={}", self.folder.display()))
            .arg(program)
            .output()
            .expect("the compiler runs");
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }
}

fn compiler() -> Command {
    let mut compiler = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    // The toolchain is the one that this folder's file names.
    compiler.current_dir(env!("CARGO_MANIFEST_DIR"));
    compiler
}

fn compiler_version() -> String {
    let output = compiler().arg("--version").output().expect("the compiler runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_message_that_lacks_a_line_or_has_one_too_many_is_found() {
    let program = "//~ error\n//~ = note: a\n//~ rustc: own\nfn main() {}";
    assert_eq!(judge(program, "error: x\n   = note: a thing\nown words\n", true), Ok(()));
    assert!(judge(program, "   = note: a\nerror: x\nown words\n", true).is_err(), "the order counts");
    assert!(judge(program, "error: x\n   = note: a\n", true).is_err());
    assert_eq!(judge(program, "error: x\n   = note: a\n", false), Ok(()), "another compiler's own words");
    assert!(judge(program, "error: x\n", false).is_err());
    assert!(judge("//~ rustc: own\nfn main() {}", "", false).is_err(), "it compiles");
    assert!(judge("fn main() {}", "error: x", true).is_err(), "nothing is expected");
}
