//! A directory of its own for each test.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Removed with all that is in it when it is dropped. What is served lies in `root`, so that there is
/// something beside it that must not be.
pub(super) struct TempTree(PathBuf);

impl TempTree {
    /// With these files, by their names below the directory.
    pub(super) fn new(files: &[(&str, &str)]) -> TempTree {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let tree = TempTree(std::env::temp_dir().join(format!("nethttp-files-{}-{number}", std::process::id())));
        fs::create_dir_all(tree.root()).unwrap();
        for (name, content) in files {
            let path = tree.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        tree
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn root(&self) -> PathBuf {
        self.0.join("root")
    }
}

impl Drop for TempTree {
    fn drop(&mut self) {
        // A directory that cannot be removed only takes up space.
        let _ = fs::remove_dir_all(&self.0);
    }
}
