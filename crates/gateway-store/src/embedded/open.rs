//! Opening of the database file: checks owner, integrity, schema and lock.

use super::table_view::{STATE_TABLE, unreadable};
use crate::{record, settings::EmbeddedSettings};
use gateway_core::state::StoreError;
use redb::{Builder, Database, DatabaseError, ReadableDatabase as _, TableDefinition, TableError};
use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Says by which schema the rest is to be read.
const SCHEMA: TableDefinition<'static, &str, u32> = TableDefinition::new("gateway_schema");
const VERSION: &str = "version";
/// The mode of the file: conversations are in it.
const PRIVATE_FILE: u32 = 0o600;
/// The mode of a directory that is made for it.
const PRIVATE_DIRECTORY: u32 = 0o700;

/// Opens the file, or makes it.
pub(super) fn open(settings: &EmbeddedSettings) -> Result<Database, StoreError> {
    let path = &settings.path;
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(settings)?,
        Err(error) => return Err(refuse(path, &error)),
        Ok(found) if !found.is_file() => return Err(refuse(path, &"it is not a file")),
        // The library would fill it: what was in it before it was cut would be lost unnoticed.
        Ok(found) if found.len() == 0 => {
            return Err(refuse(
                path,
                &"the file is empty, so it was truncated; restore it, or remove it to start with empty state",
            ));
        }
        Ok(_) => {}
    }
    restrict(path, PRIVATE_FILE).map_err(|error| refuse(path, &error))?;
    let database = builder(settings)
        .set_check_integrity_on_open(true)
        .open(path)
        .map_err(|error| open_error(path, &error))?;
    check_schema(path, &database)?;
    Ok(database)
}

/// Opens the file again, after a write failed. It was whole when it was opened before.
pub(super) fn reopen(settings: &EmbeddedSettings) -> Result<Database, StoreError> {
    builder(settings).open(&settings.path).map_err(|error| open_error(&settings.path, &error))
}

/// Makes the file, beside its place first: a file at its place is always whole.
fn make(settings: &EmbeddedSettings) -> Result<(), StoreError> {
    let path = &settings.path;
    let parent = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_directory(parent).map_err(|error| refuse(path, &error))?;
    let mut unfinished = path.clone().into_os_string();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refuse(path, &error)),
        _ => {}
    }
    let database =
        builder(settings).create(&unfinished).map_err(|error| open_error(path, &error))?;
    write_schema(&database).map_err(unreadable)?;
    drop(database);
    restrict(&unfinished, PRIVATE_FILE).map_err(|error| refuse(path, &error))?;
    fs::rename(&unfinished, path).map_err(|error| refuse(path, &error))?;
    let directory = fs::File::open(parent).map_err(|error| refuse(path, &error))?;
    directory.sync_all().map_err(|error| refuse(path, &error))
}

/// Makes a directory that other users cannot look into. One that exists stays as it is: it may be
/// shared on purpose.
fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE_DIRECTORY).create(path)
}

/// Lets only this user read and write the file.
fn restrict(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn builder(settings: &EmbeddedSettings) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(settings.cache_bytes);
    builder
}

fn write_schema(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(SCHEMA)?.insert(VERSION, record::SCHEMA)?;
    transaction.open_table(STATE_TABLE)?;
    transaction.commit()?;
    Ok(())
}

fn check_schema(path: &Path, database: &Database) -> Result<(), StoreError> {
    let transaction = database.begin_read().map_err(unreadable)?;
    let table = match transaction.open_table(SCHEMA) {
        Ok(table) => table,
        Err(TableError::Storage(error)) => return Err(unreadable(error)),
        Err(_) => return Err(refuse(path, &"it is not a gateway's")),
    };
    let version = table.get(VERSION).map_err(unreadable)?;
    let Some(version) = version else { return Err(refuse(path, &"it is not a gateway's")) };
    match version.value() {
        record::SCHEMA => Ok(()),
        newer => Err(refuse(
            path,
            &format!("it has schema {newer}, and this gateway reads {}", record::SCHEMA),
        )),
    }
}

fn open_error(path: &Path, error: &DatabaseError) -> StoreError {
    if let DatabaseError::DatabaseAlreadyOpen = error {
        return refuse(path, &"another process has it open");
    }
    if let DatabaseError::Storage(redb::StorageError::Io(io)) = error
        && matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
    {
        return refuse(path, &"it is not a gateway's file, or is damaged; restore it from a copy");
    }
    if let DatabaseError::Storage(redb::StorageError::Corrupted(why)) = error {
        return refuse(path, &format!("it is damaged ({why}); restore it from a copy"));
    }
    refuse(path, error)
}

fn refuse(path: &Path, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!("{} cannot be opened: {why}", path.display()).into())
}
