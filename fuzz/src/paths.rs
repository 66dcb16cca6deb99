//! A request's path names what the slow reference says: nothing outside the root, nothing hidden, nothing of two names.

use std::path::{Component, Path};

use nethttp::fuzzing::{FuzzNames, requested_path};

use crate::reference::path;

pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for names in [(false, false), (false, true), (true, false), (true, true)] {
        let names = FuzzNames { hidden: names.0, portable: names.1 };
        let read = requested_path(&text, names);
        let own = read.as_ref().map(|path| path.components().map(|part| part.as_os_str().as_encoded_bytes().to_vec()));
        // What the system that runs this adds to the rules of Unix is not for the reference to know.
        if names.portable || cfg!(all(unix, not(target_vendor = "apple"))) {
            assert_eq!(own.map(Iterator::collect::<Vec<_>>), path::names(&text, names), "{text:?} {names:?}");
        }
        let Some(read) = read else { continue };
        assert!(read.components().all(|part| matches!(part, Component::Normal(_))), "{read:?}");
        assert!(Path::new("/srv/site").join(&read).starts_with("/srv/site"), "{read:?}");
        assert!(!names.portable || requested_path(&text, FuzzNames { portable: false, ..names }).is_some());
    }
}
