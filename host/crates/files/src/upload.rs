//! Takes files that a visitor sends, while they arrive. They are in a file system, and have no name there: what
//! nobody keeps is gone when it is dropped, and also if the program is killed.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

use crate::media::{self, Media, SNIFFED_BYTES};
use crate::multipart::{Event, Malformed, Parser, PartHead};
use crate::room::Taken;

/// Bytes are written in blocks of this size.
const BLOCK_BYTES: usize = 128 << 10;
/// A form cannot have more fields that are not files.
const FIELDS_MAX: usize = 1_000;
/// What the boundaries and headers of a body may take besides its files and fields.
const FRAME_BYTES: u64 = 256 << 10;
/// A name of a file is cut after this many bytes.
const FILENAME_BYTES_MAX: usize = 255;

/// What a page takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadRules {
    /// How many files a request may have.
    pub files_max: usize,
    /// How large each of them may be.
    pub bytes_max: u64,
    /// The types, such as `image/png`. Empty for all.
    pub types: Vec<String>,
    /// How large the other fields may be together.
    pub fields_bytes_max: usize,
}

/// A file that a visitor sent. It has no name in the file system.
#[derive(Debug)]
pub struct Upload {
    /// The name of the field.
    pub name: String,
    /// The name of the file, as the visitor's system has it, without folders.
    pub filename: String,
    /// The type by its content.
    pub media: Media,
    /// Its size.
    pub bytes: u64,
    file: File,
}

/// What a request sent.
#[derive(Debug, Default)]
pub struct Received {
    /// The fields that are not files, in order.
    pub fields: Vec<(String, String)>,
    /// The files, in order.
    pub files: Vec<Upload>,
    /// The room that they take.
    pub room: Option<Taken>,
}

impl Received {
    /// What the fields take in memory. The files are on the disk.
    pub fn fields_bytes(&self) -> usize {
        let pairs = self.fields.iter().map(|(name, value)| name.capacity().saturating_add(value.capacity()));
        pairs.fold(self.fields.capacity() * size_of::<(String, String)>(), usize::saturating_add)
    }
}

/// Why a request is rejected. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum UploadFault {
    /// The connection ended before the body.
    #[error("the body did not arrive")]
    Broken,
    /// The body is not what its type says.
    #[error("the body is malformed: {0}")]
    Malformed(#[from] Malformed),
    /// There are more files than the page takes.
    #[error("a request can have {0} files")]
    TooManyFiles(usize),
    /// A file is larger than the page takes.
    #[error("a file can have {0} bytes")]
    TooLarge(u64),
    /// The other fields are more, or larger, than the page takes.
    #[error("the fields of the form are too large")]
    FieldsTooLarge,
    /// The page takes no files of this type.
    #[error("files of the type {0} are not taken")]
    WrongType(&'static str),
    /// The body arrives too slowly.
    #[error("the body arrives too slowly")]
    TooSlow,
    /// There is no memory for what has arrived.
    #[error("there is no memory for the body")]
    NoMemory,
    /// There is no room for more arriving files.
    #[error("there is no room for more files")]
    NoRoom,
    /// The disk cannot take the file.
    #[error("the file cannot be stored: {0}")]
    Disk(#[from] io::Error),
}

impl UploadRules {
    /// The most that a body can have.
    pub fn body_bytes_max(&self) -> u64 {
        let files = self.bytes_max.saturating_mul(self.files_max as u64);
        files.saturating_add(self.fields_bytes_max as u64).saturating_add(FRAME_BYTES)
    }

    fn takes(&self, media: Media) -> bool {
        self.types.is_empty() || self.types.iter().any(|name| name == media.name)
    }
}

impl Upload {
    /// A second handle of the file, at its start.
    ///
    /// # Errors
    /// The system has no more handles.
    pub fn reader(&self) -> io::Result<File> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }
}

/// A part that is arriving.
enum Current {
    Field {
        name: String,
        value: Vec<u8>,
    },
    File(Box<Arriving>),
    /// An input without a file, as browsers send it, unless content comes: A file needs a name or content.
    Unnamed(Box<PartHead>),
}

struct Arriving {
    head: PartHead,
    file: Arc<File>,
    /// What is not written yet.
    block: Vec<u8>,
    start: Vec<u8>,
    bytes: u64,
}

/// Reads a body. The files are in `folder` meanwhile.
///
/// # Errors
/// The request must be rejected.
pub async fn receive(
    mut payload: impl Stream<Item = Result<Bytes, UploadFault>> + Unpin,
    boundary: &str,
    rules: &UploadRules,
    folder: &Path,
    room: Taken,
) -> Result<Received, UploadFault> {
    let mut parser = Parser::new(boundary);
    let received = Received::default();
    let mut receiver = Receiver { rules, folder, room, received, current: None, fields: 0 };
    let mut total = 0_u64;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk?;
        total = total.saturating_add(chunk.len() as u64);
        if total > rules.body_bytes_max() {
            return Err(UploadFault::TooLarge(rules.bytes_max));
        }
        if !receiver.room.grow(chunk.len() as u64) {
            return Err(UploadFault::NoRoom);
        }
        parser.push(&chunk);
        while let Some(event) = parser.next_event()? {
            receiver.take(event).await?;
        }
    }
    let Receiver { received, room, .. } = receiver;
    if parser.is_complete() {
        Ok(Received { room: Some(room), ..received })
    } else {
        Err(UploadFault::Broken)
    }
}

struct Receiver<'a> {
    rules: &'a UploadRules,
    folder: &'a Path,
    room: Taken,
    received: Received,
    current: Option<Current>,
    /// The bytes of the fields so far.
    fields: usize,
}

impl Receiver<'_> {
    async fn take(&mut self, event: Event) -> Result<(), UploadFault> {
        match event {
            Event::Part(head) => self.current = Some(self.begin(head).await?),
            Event::Data(data) => match &mut self.current {
                Some(Current::Field { value, .. }) => {
                    self.fields = self.fields.saturating_add(data.len());
                    if self.fields > self.rules.fields_bytes_max {
                        return Err(UploadFault::FieldsTooLarge);
                    }
                    value.extend_from_slice(&data);
                }
                Some(Current::File(arriving)) => arriving.add(&data, self.rules).await?,
                Some(Current::Unnamed(_)) if data.is_empty() => {}
                Some(Current::Unnamed(head)) => {
                    let head = std::mem::take(head.as_mut());
                    let mut arriving = self.open(head).await?;
                    arriving.add(&data, self.rules).await?;
                    self.current = Some(Current::File(arriving));
                }
                None => {}
            },
            Event::PartEnd => match self.current.take() {
                Some(Current::Field { name, value }) => {
                    let value = String::from_utf8_lossy(&value).into_owned();
                    self.received.fields.push((name, value));
                }
                Some(Current::File(arriving)) => {
                    self.received.files.push(arriving.end(self.rules).await?);
                }
                Some(Current::Unnamed(_)) | None => {}
            },
            Event::End => {}
        }
        Ok(())
    }

    async fn begin(&mut self, head: PartHead) -> Result<Current, UploadFault> {
        let Some(filename) = &head.filename else {
            self.fields = self.fields.saturating_add(head.name.len());
            if self.received.fields.len() >= FIELDS_MAX || self.fields > self.rules.fields_bytes_max {
                return Err(UploadFault::FieldsTooLarge);
            }
            return Ok(Current::Field { name: head.name, value: Vec::new() });
        };
        if own_name(filename).is_empty() {
            return Ok(Current::Unnamed(Box::new(head)));
        }
        Ok(Current::File(self.open(head).await?))
    }

    /// Takes the place of a file, and a file of the disk.
    async fn open(&mut self, head: PartHead) -> Result<Box<Arriving>, UploadFault> {
        if self.received.files.len() >= self.rules.files_max {
            return Err(UploadFault::TooManyFiles(self.rules.files_max));
        }
        if !self.room.add_file() {
            return Err(UploadFault::NoRoom);
        }
        let folder = self.folder.to_owned();
        let file = blocking(move || tempfile::tempfile_in(folder)).await?;
        let file = Arc::new(file);
        Ok(Box::new(Arriving { head, file, block: Vec::new(), start: Vec::new(), bytes: 0 }))
    }
}

impl Arriving {
    async fn add(&mut self, data: &[u8], rules: &UploadRules) -> Result<(), UploadFault> {
        self.bytes = self.bytes.saturating_add(data.len() as u64);
        if self.bytes > rules.bytes_max {
            return Err(UploadFault::TooLarge(rules.bytes_max));
        }
        let had = self.start.len();
        let missing = SNIFFED_BYTES.saturating_sub(had).min(data.len());
        self.start.extend_from_slice(data.get(..missing).unwrap_or_default());
        // As soon as the type is known, so that nobody sends 10 MB in vain.
        if had < SNIFFED_BYTES && self.start.len() == SNIFFED_BYTES {
            self.media(rules)?;
        }
        self.block.extend_from_slice(data);
        if self.block.len() >= BLOCK_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    fn media(&self, rules: &UploadRules) -> Result<Media, UploadFault> {
        let media = media::of_content(&self.start, &self.head.claimed_type);
        if rules.takes(media) { Ok(media) } else { Err(UploadFault::WrongType(media.name)) }
    }

    async fn flush(&mut self) -> io::Result<()> {
        let (file, block) = (Arc::clone(&self.file), std::mem::take(&mut self.block));
        blocking(move || file.as_ref().write_all(&block)).await
    }

    async fn end(mut self, rules: &UploadRules) -> Result<Upload, UploadFault> {
        let filename = own_name(self.head.filename.as_deref().unwrap_or_default());
        let media = self.media(rules)?;
        self.flush().await?;
        // Every block was written, so nothing else holds the file.
        let file = Arc::into_inner(self.file).ok_or_else(|| io::Error::other("the file is in use"))?;
        Ok(Upload { name: self.head.name, filename, media, bytes: self.bytes, file })
    }
}

/// The last part of a path, as any system writes it, without control characters.
fn own_name(filename: &str) -> String {
    let last = filename.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut name: String = last.chars().filter(|c| !c.is_control()).collect();
    while name.len() > FILENAME_BYTES_MAX {
        name.pop();
    }
    name
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
