//! Sites that tests write.

use std::path::{Path, PathBuf};

/// A site folder that is deleted with the test.
pub(crate) struct TestSite {
    dir: tempfile::TempDir,
}

impl TestSite {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("brands")).unwrap();
        Self { dir }
    }

    /// A site with one brand, which answers to every Host and has these files.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let site = Self::new();
        site.write("brands/demo/brand.toml", "default = true\n");
        for (file, text) in files {
            site.write(&format!("brands/demo/{file}"), text);
        }
        site
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.dir.path().join(file);
        self.write_bytes(&path, text.as_bytes());
    }

    pub(crate) fn write_bytes(&self, path: &Path, bytes: &[u8]) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn brand_dir(&self, brand: &str) -> PathBuf {
        self.dir.path().join("brands").join(brand)
    }
}
