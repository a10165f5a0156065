//! Sites that a test writes.

use std::path::{Path, PathBuf};

/// A site folder that is deleted with the test.
pub struct TestSite {
    dir: tempfile::TempDir,
}

impl TestSite {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("brands")).unwrap();
        Self { dir }
    }

    /// A site with one brand that takes every Host, with these files in it.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let site = Self::new();
        site.write("brands/demo/brand.toml", "default = true\n");
        for (file, text) in files {
            site.write(&format!("brands/demo/{file}"), text);
        }
        site
    }

    pub fn write(&self, file: &str, text: &str) {
        let path = self.dir.path().join(file);
        self.write_bytes(&path, text.as_bytes());
    }

    pub fn write_bytes(&self, path: &Path, bytes: &[u8]) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn brand_dir(&self, brand: &str) -> PathBuf {
        self.dir.path().join("brands").join(brand)
    }
}
