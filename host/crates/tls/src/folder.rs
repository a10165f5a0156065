//! The operator's folder of certificates.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use sluice_kit::operator_dir::OperatorDir;

use crate::certificate::{Certificate, CertificateError};
use crate::certificates::Certificates;

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A folder of certificates: `NAME.crt` with a chain and `NAME.key` with its private key. The names of the
/// files do not matter.
#[derive(Debug)]
pub struct CertificateFolder {
    dir: OperatorDir,
    known: Mutex<BTreeMap<PathBuf, Pair>>,
}

/// A chain and its key, as they were read last.
#[derive(Debug)]
struct Pair {
    stamps: [Stamp; 2],
    /// The last one that could be used.
    certificate: Option<Certificate>,
}

/// Which version of a file was read: device, inode, length and the time of its last change.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// What has changed in the folder.
#[derive(Debug, Default)]
pub struct Refreshed {
    /// The chains that were read and can be used.
    pub loaded: Vec<PathBuf>,
    /// The chains that were there before.
    pub removed: Vec<PathBuf>,
    /// What cannot be used, and why. The certificate that the file had before stays in use.
    pub failed: Vec<(PathBuf, FileError)>,
}

/// Why a file of a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file or its key cannot be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file, or the file of its key.
        path: PathBuf,
        /// What the system reports.
        error: io::Error,
    },
    /// The contents cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl FileError {
    fn may_pass(&self) -> bool {
        matches!(self, Self::Io { error, .. } if error.kind() != io::ErrorKind::NotFound)
    }
}

impl CertificateFolder {
    /// The certificates in `dir`, which need not exist. Nothing is read yet.
    pub fn new(dir: OperatorDir) -> Self {
        Self { dir, known: Mutex::default() }
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Reads what has changed since the last call, and hands all certificates to `certificates`.
    ///
    /// # Errors
    /// The folder cannot be read. Nothing changes then.
    pub fn refresh(&self, certificates: &Certificates) -> io::Result<Refreshed> {
        let mut known = self.known.lock();
        let chains = self.chains()?;
        let mut refreshed = Refreshed::default();
        refreshed.removed.extend(known.keys().filter(|path| !chains.contains(path)).cloned());
        known.retain(|path, _| chains.contains(path));
        let mut has_changed = !refreshed.removed.is_empty();
        for chain in chains {
            let key = chain.with_extension("key");
            let mut stamps = [stamp(&chain), stamp(&key)];
            if known.get(&chain).is_some_and(|pair| pair.stamps == stamps) {
                continue;
            }
            let last = known.remove(&chain).and_then(|pair| pair.certificate);
            let certificate = match read_pair(&chain, &key) {
                Ok(read) => {
                    refreshed.loaded.push(chain.clone());
                    has_changed = true;
                    Some(read)
                }
                Err(error) => {
                    // What the system refuses now may work later, although the files stay as they are.
                    if error.may_pass() {
                        stamps = [None, None];
                    }
                    refreshed.failed.push((chain.clone(), error));
                    last
                }
            };
            known.insert(chain, Pair { stamps, certificate });
        }
        if has_changed {
            certificates.set_files(known.values().filter_map(|pair| pair.certificate.clone()));
        }
        Ok(refreshed)
    }

    fn chains(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(self.dir.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        let mut chains: Vec<_> =
            paths.into_iter().filter(|path| path.extension().is_some_and(|end| end == "crt")).collect();
        chains.sort();
        Ok(chains)
    }
}

fn stamp(path: &Path) -> Stamp {
    let of = |data: Metadata| (data.dev(), data.ino(), data.len(), data.ctime(), data.ctime_nsec());
    fs::metadata(path).ok().map(of)
}

fn read_pair(chain: &Path, key: &Path) -> Result<Certificate, FileError> {
    Ok(Certificate::from_pem(&read(chain)?, &read(key)?)?)
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file has more than 1 MB"));
        }
        Ok(bytes)
    };
    read().map_err(|error| FileError::Io { path: path.to_owned(), error })
}
