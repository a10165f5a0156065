//! All entries of an entity, to a file and from one.

use std::collections::HashMap;
use std::io::BufRead;

use super::{Columns, CsvError, ExportColumn, Reader, Row, entry_record, head_record};
use crate::search::{Order, Search};
use crate::{CrmCaps, CrmFault, CrmStore, CrmWrite, Entity, Filter, Found, Line, Refusal, Slug};

/// How many entries are read at a time, and how many bytes of them.
const PAGE_ROWS: u32 = 200;
const PAGE_BYTES: usize = 8 << 20;
/// Scripts choose keys that are not declared, and each row has a cell for every column.
const COLUMNS_MAX: usize = 2_000;

/// Writes the entries of an entity, oldest first, a piece at a time.
pub struct Export {
    brand: String,
    columns: Vec<ExportColumn>,
    /// `None` at the end.
    next: Option<Search>,
}

impl Export {
    /// Looks at all entries, to find out which columns there are: the declared fields, then all others.
    ///
    /// # Errors
    /// There are too many columns, or the database does not answer.
    pub async fn begin<S: CrmStore + ?Sized>(
        store: &S,
        brand: &str,
        slug: &Slug,
        entity: &Entity,
    ) -> Result<Self, ExportFault> {
        let declared = entity.fields.iter().map(|(_, field)| (field.key.clone(), Some(field.kind)));
        let mut columns: Vec<ExportColumn> =
            declared.map(|(key, kind)| ExportColumn::new(key, kind)).collect();
        let declared = columns.len();
        let mut known: HashMap<String, usize> =
            columns.iter().enumerate().map(|(index, column)| (column.key.clone(), index)).collect();
        let mut looking = Self::over(brand, slug, Vec::new());
        while let Some(found) = looking.read(store).await? {
            for (key, value) in found.entries.iter().flat_map(|found| &found.entry.values) {
                let index = match known.get(key) {
                    Some(index) => *index,
                    None if columns.len() >= COLUMNS_MAX => return Err(ExportFault::TooManyColumns),
                    None => {
                        columns.push(ExportColumn::new(key.clone(), None));
                        known.insert(key.clone(), columns.len() - 1);
                        columns.len() - 1
                    }
                };
                if let Some(column) = columns.get_mut(index) {
                    column.note(value);
                }
            }
        }
        if let Some(others) = columns.get_mut(declared..) {
            others.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        }
        Ok(Self::over(brand, slug, columns))
    }

    fn over(brand: &str, slug: &Slug, columns: Vec<ExportColumn>) -> Self {
        let search = Search {
            slug: slug.clone(),
            reference: None,
            filter: Filter::everything(),
            order: Order { field: None, is_descending: false },
            after: None,
            limit: Some(PAGE_ROWS),
            bytes_max: PAGE_BYTES,
        };
        Self { brand: brand.to_owned(), columns, next: Some(search) }
    }

    async fn read<S: CrmStore + ?Sized>(&mut self, store: &S) -> Result<Option<Found>, CrmFault> {
        let Some(search) = &mut self.next else { return Ok(None) };
        let found = store.search_entries(&self.brand, search.clone()).await?;
        match &found.next {
            Some(next) => search.after = Some(next.clone()),
            None => self.next = None,
        }
        Ok(Some(found))
    }

    /// The first record, which names the columns.
    pub fn head(&self) -> String {
        head_record(&self.columns)
    }

    /// The next records. `None` at the end.
    ///
    /// # Errors
    /// An entry has a value that was written since the export began and has no place in it, or the database does not
    /// answer.
    pub async fn piece<S: CrmStore + ?Sized>(&mut self, store: &S) -> Result<Option<String>, ExportFault> {
        let Some(found) = self.read(store).await? else { return Ok(None) };
        let records = found.entries.iter().map(|entry| entry_record(entry, &self.columns));
        records.collect::<Option<String>>().map(Some).ok_or(ExportFault::Changed)
    }
}

/// Why an export has ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportFault {
    /// Scripts have written more keys than a file can have columns.
    #[error("the entries have more than {COLUMNS_MAX} different keys, which is too many for a CSV file")]
    TooManyColumns,
    /// A script has written a value of another type, or under a new key, meanwhile.
    #[error(
        "an entry was changed while it was exported, and its new value has no place in the file; export again"
    )]
    Changed,
    /// The database fails.
    #[error(transparent)]
    Crm(#[from] CrmFault),
}

/// How many entries an import has written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Entries that are new.
    pub created: u64,
    /// Entries that were there before.
    pub changed: u64,
}

/// Why an import has ended early. Earlier records are written.
#[derive(Debug, thiserror::Error)]
pub enum ImportFault {
    /// The file has changed since it was checked, or cannot be read any more.
    #[error("{0}")]
    File(CsvError),
    /// A record cannot be written.
    #[error("{line}: {fault}")]
    Write {
        /// The line on which it begins, counted from 1.
        line: u64,
        /// Why.
        fault: CrmFault,
        /// What was written before.
        before: Imported,
    },
}

/// Checks all records from a line on, and returns how many there are.
///
/// # Errors
/// A record is not valid.
pub fn check_file(file: impl BufRead, entity: &Entity, from_line: u64) -> Result<u64, CsvError> {
    let mut records = Records::open(file, entity)?;
    let mut count = 0;
    while let Some(row) = records.read()? {
        count += u64::from(row.line >= from_line);
    }
    Ok(count)
}

/// Writes all records from a line on, each in a transaction of its own. A record with an id changes its entry, and
/// one without creates an entry.
///
/// # Errors
/// A record cannot be read or written.
pub async fn import<S: CrmStore + ?Sized>(
    store: &S,
    brand: &str,
    slug: &Slug,
    entity: &Entity,
    file: impl BufRead,
    from_line: u64,
    now_ms: impl Fn() -> i64,
) -> Result<Imported, ImportFault> {
    let mut done = Imported::default();
    let mut records = Records::open(file, entity).map_err(ImportFault::File)?;
    while let Some(row) = records.read().map_err(ImportFault::File)? {
        if row.line < from_line {
            continue;
        }
        let (line, is_new) = (row.line, row.id.is_none());
        let written = write(store, brand, slug, row, now_ms()).await;
        written.map_err(|fault| ImportFault::Write { line, fault, before: done })?;
        match is_new {
            true => done.created += 1,
            false => done.changed += 1,
        }
    }
    Ok(done)
}

async fn write<S: CrmStore + ?Sized>(
    store: &S,
    brand: &str,
    slug: &Slug,
    row: Row,
    now_ms: i64,
) -> Result<(), CrmFault> {
    let Row { id, reference, fields, .. } = row;
    // The operator decides what the brand stores.
    let caps = CrmCaps { entries_a_reference_max: u32::MAX, brand_bytes_max: u64::MAX, ..CrmCaps::default() };
    let write = match id {
        Some(id) => {
            let owner = store.entry_reference(brand, slug.clone(), id).await?;
            let reference = owner.ok_or(CrmFault::Refused(Refusal::NoEntry))?;
            let fields = fields.into_iter().map(|(key, value)| (key, Some(value))).collect();
            let at = Line { slug: slug.clone(), reference };
            CrmWrite::UpdateEntry { at, id, fields, if_updated_at: None, place: None }
        }
        None => {
            let reference = reference.ok_or(CrmFault::Refused(Refusal::NoReference))?;
            CrmWrite::CreateEntry { at: Line { slug: slug.clone(), reference }, fields, place: None }
        }
    };
    store.write_crm(brand, write, caps, now_ms).await.map(drop)
}

/// The records of a file.
struct Records<R> {
    reader: Reader<R>,
    columns: Columns,
}

impl<R: BufRead> Records<R> {
    fn open(file: R, entity: &Entity) -> Result<Self, CsvError> {
        let mut reader = Reader::new(file);
        let kind =
            |key: &str| entity.fields.iter().find(|(_, field)| field.key == key).map(|(_, field)| field.kind);
        let columns = Columns::read(reader.record()?, kind)?;
        Ok(Self { reader, columns })
    }

    fn read(&mut self) -> Result<Option<Row>, CsvError> {
        self.reader.record()?.map(|cells| self.columns.row(&cells)).transpose()
    }
}
