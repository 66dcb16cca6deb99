//! Header blocks of other encoders: the collection http2jp/hpack-test-case, which `NETHTTP_HPACK_CASES` names
//! a folder of. Each block has to be the fields that it stands for, and again through the encoder here.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;

#[test]
fn blocks_of_other_encoders_are_decoded() {
    let Some(folder) = std::env::var_os("NETHTTP_HPACK_CASES") else {
        // Not by `println!`, which is shown for tests that fail alone.
        let why = "LEFT OUT: NETHTTP_HPACK_CASES names no folder of hpack-test-case";
        let _ = writeln!(std::io::stderr(), "{why}");
        return;
    };
    let mut files = Vec::new();
    collect(Path::new(&folder), &mut files);
    let blocks: usize = files.iter().map(|file| check(file)).sum();
    assert!(blocks > 40_000, "only {blocks} blocks: were they all found?");
    let _ = writeln!(std::io::stderr(), "{blocks} header blocks in {} files", files.len());
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("raw-data") {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
}

/// The cases of a file are one connection's.
fn check(file: &Path) -> usize {
    let story: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let (mut decoder, mut encoder, mut own) = (HpackDecoder::new(), HpackEncoder::new(), HpackDecoder::new());
    let cases = story["cases"].as_array().unwrap();
    for case in cases {
        let place = || format!("{} case {}", file.display(), case["seqno"]);
        if let Some(size) = case["header_table_size"].as_u64() {
            decoder.set_max_table_bytes(size as usize);
            encoder.set_max_table_bytes(size as usize);
            own.set_max_table_bytes((size as usize).min(4096));
        }
        let fields: Vec<TextPair> = case["headers"].as_array().unwrap().iter().map(field).collect();
        let block = unhex(case["wire"].as_str().unwrap());
        assert_eq!(decode(&mut decoder, &block), Ok(fields.clone()), "{}", place());
        let block = encode(&mut encoder, &fields);
        assert_eq!(decode(&mut own, &block), Ok(fields), "{} encoded here", place());
    }
    cases.len()
}

fn field(field: &Value) -> TextPair {
    let (name, value) = field.as_object().unwrap().iter().next().unwrap();
    (name.as_bytes().to_vec(), value.as_str().unwrap().as_bytes().to_vec())
}
