//! The entries of an entity as CSV, to a file of the operator and from one.

use std::collections::HashSet;
use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{self, Bytes, Payload};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use parking_lot::Mutex;
use serde::Serialize;

use sluice_crm::csv::{self, Export, ExportFault, ImportFault, Imported};
use sluice_crm::{Entity, Slug};
use sluice_files::multipart::boundary;
use sluice_files::{Received, UploadFault, UploadRules, receive};
use sluice_kit::clock::now_ms;
use sluice_store::Store;
use sluice_text::printable::printable;

use super::crm::{find, no_entity};
use super::find_brand;
use crate::admin::AdminState;
use crate::admin::changes::note;
use crate::admin::error::AdminError;

/// The largest file that an operator can send. `sluice crm import-entries` takes any.
const FILE_BYTES_MAX: u64 = 64 << 20;
const FIELDS_BYTES_MAX: usize = 1 << 10;

/// What an import has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Done {
    /// The file was only checked. The number of its records.
    Checked { records: u64 },
    /// The number of entries that were written.
    Imported { created: u64, changed: u64 },
}

async fn entity_of(state: &AdminState, brand: &str, slug: &str) -> Result<(Slug, Entity), AdminError> {
    let missing = || no_entity(brand, slug);
    let entity = find(state, brand, slug).await?.ok_or_else(missing)?;
    Ok((Slug::new(slug).ok_or_else(missing)?, entity))
}

/// The response with all entries, oldest first, as a file to save. It ends early if the database does not answer, and
/// browsers then say that the download has failed.
///
/// # Errors
/// There is no such brand or entity, or the database does not answer.
pub(crate) async fn export(state: &AdminState, brand: &str, slug: &str) -> Result<HttpResponse, AdminError> {
    let brand = find_brand(state, brand)?;
    let (slug, entity) = entity_of(state, &brand.id, slug).await?;
    let store = Arc::clone(&state.app.store);
    let export = Export::begin(&*store, &brand.id, &slug, &entity).await?;
    let disposition = format!("attachment; filename=\"{}-{}.csv\"", brand.id, slug.as_str());
    let head = stream::iter([Ok::<_, ExportFault>(Bytes::from(export.head()))]);
    let pieces = stream::try_unfold((store, export), async |(store, mut export)| {
        let piece = export.piece(&*store).await;
        let piece =
            piece.inspect_err(|error| tracing::warn!(%error, "an export of CRM entries has ended early"))?;
        Ok(piece.map(|piece| (Bytes::from(piece), (store, export))))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, disposition))
        .streaming(head.chain(pieces).map_err(AdminError::from)))
}

/// Checks a form with the fields `file`, `dry_run` and `from_line`, and then writes the records of the file. Once it
/// writes, it goes on even if the operator leaves.
///
/// # Errors
/// There is no such brand or entity, the form or the file is not valid, a record cannot be written, or the database
/// does not answer.
pub(crate) async fn import(
    state: &AdminState,
    brand: &str,
    slug: &str,
    headers: &HeaderMap,
    payload: Payload,
) -> Result<Done, AdminError> {
    let brand = find_brand(state, brand)?.id.clone();
    let (slug, entity) = entity_of(state, &brand, slug).await?;
    let received = take(state, &brand, headers, payload).await?;
    let field = |name: &str| {
        let found = received.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    };
    let is_dry_run = match field("dry_run") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(AdminError::InvalidRequest("`dry_run` must be true or false".to_owned())),
    };
    let from_line = match field("from_line") {
        None => 1,
        Some(line) => line.parse().map_err(|_| AdminError::InvalidNumber("from_line".to_owned()))?,
    };
    let upload = received.files.iter().find(|file| file.name == "file");
    let upload = upload
        .ok_or_else(|| AdminError::InvalidRequest("choose a file: the form has no `file`".to_owned()))?;
    let name = printable(&upload.filename);
    let open = || upload.reader().map(BufReader::new).map_err(AdminError::CsvDisk);
    let (checked, entity) = {
        let file = open()?;
        web::block(move || (csv::check_file(file, &entity, from_line), entity)).await?
    };
    let records = checked.map_err(|error| AdminError::CsvFile(format!("{name}:{error}")))?;
    if is_dry_run {
        note(|note| note.is_nothing = true);
        return Ok(Done::Checked { records });
    }
    let import = Import { store: Arc::clone(&state.app.store), brand, slug, entity, name, from_line };
    let running = Running::begin(&state.importing, &import.brand, &import.entity.slug)?;
    let file = open()?;
    // It goes on if the operator leaves, so it logs how it ends.
    let importing = async move {
        let done = import.run(file).await;
        drop(running);
        done
    };
    let done = state.app.runtime.spawn(importing).await.map_err(AdminError::Import)??;
    if let Done::Imported { created, changed } = &done {
        note(|note| note.item = format!("created: {created}, changed: {changed}"));
    }
    Ok(done)
}

/// The file of an operator that is imported.
struct Import {
    store: Arc<dyn Store>,
    brand: String,
    slug: Slug,
    entity: Entity,
    /// The file's name.
    name: String,
    from_line: u64,
}

impl Import {
    async fn run(self, file: BufReader<File>) -> Result<Done, AdminError> {
        let Self { store, brand, slug, entity, name, from_line } = self;
        tracing::info!(
            brand,
            entity = entity.slug,
            file = name,
            from_line,
            "an import of CRM entries begins"
        );
        let imported = csv::import(&*store, &brand, &slug, &entity, file, from_line, now_ms).await;
        let said = match imported {
            Ok(Imported { created, changed }) => {
                tracing::info!(brand, entity = entity.slug, created, changed, "CRM entries were imported");
                return Ok(Done::Imported { created, changed });
            }
            Err(fault @ ImportFault::File(_)) => format!("{name}:{fault}"),
            Err(ImportFault::Write { line, fault, before: Imported { created, changed } }) => format!(
                "{name}:{line}: {fault}. {created} entries were created and {changed} changed before; correct the \
                 record and import the file again from line {line}"
            ),
        };
        tracing::warn!(brand, entity = entity.slug, "an import of CRM entries has ended early: {said}");
        Err(AdminError::CsvFile(said))
    }
}

/// The imports that run, by brand and entity. Two at a time would create the same entries twice.
pub(crate) type Importing = Arc<Mutex<HashSet<(String, String)>>>;

/// An import that runs.
struct Running {
    all: Importing,
    own: (String, String),
}

impl Running {
    fn begin(all: &Importing, brand: &str, entity: &str) -> Result<Self, AdminError> {
        let own = (brand.to_owned(), entity.to_owned());
        match all.lock().insert(own.clone()) {
            true => Ok(Self { all: Arc::clone(all), own }),
            false => Err(AdminError::ImportRuns(entity.to_owned())),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.all.lock().remove(&self.own);
    }
}

/// Takes the form. The file has no name in the file system, and is gone when it is dropped.
async fn take(
    state: &AdminState,
    brand: &str,
    headers: &HeaderMap,
    payload: Payload,
) -> Result<Received, AdminError> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = content_type.and_then(boundary);
    let no_form =
        || AdminError::InvalidRequest("the body must be multipart/form-data with a `file`".to_owned());
    let boundary = boundary.ok_or_else(no_form)?;
    let rules = UploadRules {
        files_max: 1,
        bytes_max: FILE_BYTES_MAX,
        types: Vec::new(),
        fields_bytes_max: FIELDS_BYTES_MAX,
    };
    let place = &state.app.uploads;
    let body = payload.map(|chunk| chunk.map_err(|_| UploadFault::Broken));
    let received = receive(body, boundary, &rules, &place.folder, place.room.enter(brand)).await;
    received.map_err(AdminError::Upload)
}
