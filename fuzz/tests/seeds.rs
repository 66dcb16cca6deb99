//! The seeds of every target as plain tests, whole and cut short: what was found once stays found,
//! where no fuzzer runs.

use std::fs;
use std::path::{Path, PathBuf};

/// A test for each target.
macro_rules! replayed {
    ($($target:ident)*) => {
        const REPLAYED: &[&str] = &[$(stringify!($target)),*];

        $(#[test]
        fn $target() {
            replay(stringify!($target), nethttp_fuzz::$target::check);
        })*
    };
}

replayed!(
    chunked client cookie decode files framing h2_client h2_server header host hpack http2_frames http2_pair
    jar middleware multipart mux netscape no_proxy paths proxy proxy_protocol range redirect request_head response_head server tls
);

/// This many prefixes of a seed are enough.
const MAX_PREFIX_COUNT: usize = 64;

fn replay(target: &str, check: fn(&[u8])) {
    let seeds = paths_in(&here().join("seeds").join(target));
    assert!(!seeds.is_empty(), "{target} has no seeds");
    for seed in seeds {
        let bytes = fs::read(&seed).expect("a seed can be read");
        println!("{}", seed.display());
        check(&bytes);
        (0..bytes.len()).step_by(bytes.len() / MAX_PREFIX_COUNT + 1).for_each(|len| check(&bytes[..len]));
    }
}

/// What a target needs beside its invariant is in `reference` and `play`.
const MAX_LINE_COUNT: usize = 45;

#[test]
fn every_target_is_replayed_short_and_says_its_invariant_first() {
    let names: Vec<String> = paths_in(&here().join("fuzz_targets"))
        .iter()
        .map(|path| path.file_stem().expect("it has a name").to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, REPLAYED);
    for name in names {
        let text = fs::read_to_string(here().join(format!("src/{name}.rs"))).expect("a target can be read");
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("//! ") && first.ends_with('.'), "{name} begins with {first:?}");
        assert!(text.lines().count() <= MAX_LINE_COUNT, "{name} is too long to be seen through");
    }
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn paths_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.sort();
    paths
}
