//! The token stores of the Go release: folders with one JSON file for each bootstrap token and
//! one for each refresh family. What is read here is ready for
//! [`Store::import`](crate::store::Store::import); secrets in the files, such as issued access
//! tokens, are not taken over.

mod bootstrap;
mod error;
mod family;
mod go_time;
mod json_files;
mod members;
mod record;

use std::collections::HashMap;
use std::path::Path;

pub use error::{ImportConflict, RecordFault, RefusedRecord, StoreImportError};
pub use record::{ImportCounts, ImportReport, ImportedBootstrap, ImportedFamily};

use members::Members;

/// What the files of one store hold.
#[derive(Debug)]
pub struct StoreFiles<R> {
    /// What is to be imported, in order of the files' names.
    pub records: Vec<R>,
    /// How many records are left out because their time is over: nothing can be done with them.
    pub expired: u64,
    /// Files that are not understood.
    pub refused: Vec<RefusedRecord>,
}

impl<R> Default for StoreFiles<R> {
    /// Of a store that is not there.
    fn default() -> Self {
        Self {
            records: Vec::new(),
            expired: 0,
            refused: Vec::new(),
        }
    }
}

/// A record of one of the stores.
trait StoredRecord: Sized {
    /// The member that identifies a record, as written now and before.
    const ID: [&'static str; 2];

    /// Reads a record from the members of the file `STEM.json`. Tokens get `roles`, which the Go
    /// release has not.
    fn read(members: &mut Members, stem: &str, roles: &[String]) -> Result<Self, RecordFault>;

    /// The digest of the token that can be used.
    fn digest(&self) -> [u8; 32];

    /// When the token can no longer be used, in Unix seconds.
    fn expires_at(&self) -> i64;

    /// The subject that the newest record of, by the time it was made, says the grant of: even
    /// when it has expired.
    fn speaks_for(&self) -> Option<(&str, i64)>;
}

/// Reads the bootstrap tokens in `path`, the store's folder or one of its files, as of `now` in
/// Unix seconds. The tokens grant `roles` too.
///
/// # Errors
/// [`StoreImportError`] when the folder cannot be read. What is wrong with a file is in the
/// answer.
pub fn read_bootstrap_tokens(
    path: &Path,
    roles: &[String],
    now: i64,
) -> Result<StoreFiles<ImportedBootstrap>, StoreImportError> {
    read(path, roles, now)
}

/// Reads the refresh families in `path`, the store's folder or one of its files, as of `now` in
/// Unix seconds. Their tokens grant `roles` too.
///
/// # Errors
/// [`StoreImportError`] when the folder cannot be read. What is wrong with a file is in the
/// answer.
pub fn read_refresh_families(
    path: &Path,
    roles: &[String],
    now: i64,
) -> Result<StoreFiles<ImportedFamily>, StoreImportError> {
    read(path, roles, now)
}

fn read<R: StoredRecord>(
    path: &Path,
    roles: &[String],
    now: i64,
) -> Result<StoreFiles<R>, StoreImportError> {
    let mut files = StoreFiles::default();
    // Two records of one token would differ in what became of it.
    let mut seen: HashMap<[u8; 32], String> = HashMap::new();
    for file in json_files::list(path)? {
        let name = file.display().to_string();
        let mut id = None;
        let record = read_file::<R>(&file, roles, &mut id).and_then(|record| {
            match seen.insert(record.digest(), name.clone()) {
                Some(other) => Err(RecordFault::Twice(other)),
                None => Ok(record),
            }
        });
        match record {
            Ok(record) => files.records.push(record),
            Err(fault) => files.refused.push(RefusedRecord {
                file: name,
                id,
                fault,
            }),
        }
    }
    leave_out_expired(&mut files, now);
    Ok(files)
}

fn leave_out_expired<R: StoredRecord>(files: &mut StoreFiles<R>, now: i64) {
    let mut newest: HashMap<String, i64> = HashMap::new();
    for (subject, made) in files.records.iter().filter_map(R::speaks_for) {
        let latest = newest.entry(subject.to_owned()).or_insert(made);
        *latest = made.max(*latest);
    }
    let before = files.records.len();
    files.records.retain(|record| {
        let speaks = record
            .speaks_for()
            .is_some_and(|(subject, made)| newest.get(subject) == Some(&made));
        speaks || record.expires_at() > now
    });
    let left_out = before.saturating_sub(files.records.len());
    files.expired = u64::try_from(left_out).unwrap_or(u64::MAX);
}

fn read_file<R: StoredRecord>(
    file: &Path,
    roles: &[String],
    id: &mut Option<String>,
) -> Result<R, RecordFault> {
    let mut members = Members::parse(&json_files::read(file)?)?;
    *id = members.shown(R::ID);
    let stem = file
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let record = R::read(&mut members, &stem, roles)?;
    members.finish()?;
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn bootstrap(text: &str) -> Result<ImportedBootstrap, &'static str> {
        let mut members = Members::parse(text.as_bytes()).map_err(|fault| fault.code())?;
        let record = ImportedBootstrap::read(&mut members, DIGEST, &["service".to_owned()])
            .map_err(|fault| fault.code())?;
        members.finish().map_err(|fault| fault.code())?;
        Ok(record)
    }

    fn now(change: impl Fn(&mut serde_json::Value)) -> String {
        let mut value = serde_json::json!({
            "id": "bt-1", "subject": "boot-service", "audience": "smd", "scopes": ["read"],
            "ttl": 600_000_000_000_i64, "refresh_ttl": 86_400_000_000_000_i64,
            "token_hash": DIGEST, "created_at": "2026-01-02T03:04:05.123456789+02:00",
            "expires_at": "2026-01-02T03:14:05.123456789+02:00",
            "issued_access_token_id": "",
        });
        change(&mut value);
        value.to_string()
    }

    #[test]
    fn both_spellings_are_read() {
        let record = bootstrap(&now(|_| {})).unwrap();
        assert_eq!(record.created_at, 1_767_315_845);
        assert_eq!(record.expires_at, record.created_at + 600);
        assert_eq!(record.refresh_ttl, 86_400);
        assert_eq!(record.redeemed_at, None);
        assert_eq!(record.grant.audience, ["smd"]);
        let before = format!(
            r#"{{"ID": "bt-1", "Subject": "boot-service", "Audience": "smd", "Scopes": ["read"],
            "TTL": 600000000000, "RefreshTTL": 86400000000000, "TokenHash": "{DIGEST}",
            "CreatedAt": "2026-01-02T01:04:05Z", "ExpiresAt": "2026-01-02T01:14:05Z",
            "ConsumedAt": null, "ConsumedByIP": "", "ReplayAttempts": null,
            "BindingIdentifier": "", "IssuedAccessTokenID": "", "IssuedRefreshTokenID": ""}}"#
        );
        assert_eq!(bootstrap(&before).unwrap(), record);
    }

    #[test]
    fn what_was_used_stays_used() {
        let used = bootstrap(&now(|value| {
            value["consumed_at"] = "2026-01-02T01:05:00Z".into()
        }));
        assert_eq!(used.unwrap().redeemed_at, Some(1_767_315_900));
        for member in ["issued_access_token_id", "issued_refresh_token_id"] {
            let used = bootstrap(&now(|value| value[member] = "something".into())).unwrap();
            assert_eq!(used.redeemed_at, Some(used.created_at), "{member}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let cases = [
            ("[]".to_owned(), "store_record_json"),
            ("{\"id\": ".to_owned(), "store_record_json"),
            (
                now(|value| value["token_hash"] = "00".into()),
                "store_record_member",
            ),
            (
                now(|value| value["token_hash"] = "0".repeat(64).into()),
                "store_record_name",
            ),
            (
                now(|value| value["scopes"] = "read".into()),
                "store_record_member",
            ),
            (
                now(|value| value["scopes"] = serde_json::json!([" "])),
                "store_record_member",
            ),
            (
                now(|value| value["subject"] = "a\u{7}".into()),
                "store_record_member",
            ),
            (
                now(|value| value["subject"] = serde_json::Value::Null),
                "store_record_member",
            ),
            (
                now(|value| value["refresh_ttl"] = 5.into()),
                "store_record_member",
            ),
            (
                now(|value| value["expires_at"] = "soon".into()),
                "store_record_member",
            ),
            (
                now(|value| value["Subject"] = "twice".into()),
                "store_record_member",
            ),
            (
                now(|value| value["cnf"] = "new".into()),
                "store_record_member",
            ),
        ];
        for (text, code) in cases {
            assert_eq!(bootstrap(&text).err(), Some(code), "{text}");
        }
    }
}
