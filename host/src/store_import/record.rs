use tokensmith_engine::exchange::ServiceGrant;

use super::ImportConflict;

/// A bootstrap token of another store. All times are Unix seconds, all lengths of time seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedBootstrap {
    /// SHA-256 of the token.
    pub digest: [u8; 32],
    /// What redeeming it grants.
    pub grant: ServiceGrant,
    /// A name for the machine or service it was made for.
    pub binding_identifier: Option<String>,
    /// When it was made.
    pub created_at: i64,
    /// When it can no longer be redeemed.
    pub expires_at: i64,
    /// How long the refresh tokens of its family last.
    pub refresh_ttl: i64,
    /// When it was redeemed: then it is only kept so that it is refused.
    pub redeemed_at: Option<i64>,
}

/// A refresh family of another store. All times are Unix seconds, all lengths of time seconds.
///
/// Of its tokens only the last is known: those before it were forgotten when they were rotated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedFamily {
    /// Its identifier.
    pub id: String,
    /// SHA-256 of the token that can be used.
    pub digest: [u8; 32],
    /// What its tokens grant.
    pub grant: ServiceGrant,
    /// A name for the machine or service it was made for.
    pub binding_identifier: Option<String>,
    /// When it began.
    pub created_at: i64,
    /// When it ends; using a token does not move this.
    pub ends_at: i64,
    /// How long it was made to last.
    pub refresh_ttl: i64,
    /// When the token that can be used was made.
    pub issued_at: i64,
    /// How many tokens were used before this one.
    pub usage_count: u64,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
}

/// What an import did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Bootstrap tokens.
    pub bootstrap_tokens: ImportCounts,
    /// Refresh families.
    pub refresh_families: ImportCounts,
    /// Records that contradict the store. While there are any nothing is imported.
    pub conflicts: Vec<ImportConflict>,
}

/// How many records of a kind there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// Put into the store.
    pub imported: u64,
    /// In the store already; left as they are.
    pub present: u64,
    /// In the store already, and usable there: redeemed or revoked now, as the record says.
    pub closed: u64,
}

impl ImportReport {
    /// Of an import into a store that has nothing yet.
    pub fn into_empty(tokens: &[ImportedBootstrap], families: &[ImportedFamily]) -> Self {
        let all = |count: usize| ImportCounts {
            imported: u64::try_from(count).unwrap_or(u64::MAX),
            ..ImportCounts::default()
        };
        Self {
            bootstrap_tokens: all(tokens.len()),
            refresh_families: all(families.len()),
            conflicts: Vec::new(),
        }
    }

    /// Whether the store is another one afterwards.
    pub fn changes(&self) -> bool {
        [self.bootstrap_tokens, self.refresh_families]
            .iter()
            .any(|counts| counts.imported > 0 || counts.closed > 0)
    }
}

impl ImportCounts {
    /// Counts a record that is in the store already.
    pub(crate) fn there(&mut self, closed: bool) {
        if closed {
            self.closed = self.closed.saturating_add(1);
        } else {
            self.present = self.present.saturating_add(1);
        }
    }
}
