use sqlx::AnyConnection;
use tokensmith_engine::exchange::ServiceGrant;

use super::{OpaqueDigest, Store, StoreError, encode_list};

/// How a refresh family began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyOrigin {
    /// With a bootstrap token.
    Bootstrap,
    /// With a client certificate.
    Session,
}

/// A refresh family: what each of its access tokens says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its identifier, `session_id` of its access tokens.
    pub id: String,
    /// How it began.
    pub origin: FamilyOrigin,
    /// What was granted.
    pub grant: ServiceGrant,
    /// Seconds that each of its refresh tokens lasts.
    pub refresh_ttl: i64,
    /// The client certificate it is bound to, as `x5t#S256` (RFC 8705 section 3.1).
    pub confirmation: Option<String>,
    /// When it ends, in Unix seconds, however often its tokens are used; a family without ends
    /// when a token of it was not used in time.
    pub ends_at: Option<i64>,
}

/// The refresh token that a grant hands out.
#[derive(Clone, Copy, Debug)]
pub struct NewRefreshToken<'a> {
    /// The token's digest.
    pub digest: OpaqueDigest,
    /// The family's identifier where the grant starts one.
    pub family: &'a str,
}

impl FamilyOrigin {
    pub(super) fn name(self) -> &'static str {
        match self {
            FamilyOrigin::Bootstrap => "bootstrap",
            FamilyOrigin::Session => "session",
        }
    }

    pub(super) fn of(name: &str) -> Result<Self, StoreError> {
        match name {
            "bootstrap" => Ok(FamilyOrigin::Bootstrap),
            "session" => Ok(FamilyOrigin::Session),
            _ => Err(StoreError::Column("origin")),
        }
    }
}

impl Store {
    /// Starts a refresh family with its first refresh token.
    ///
    /// `record` is told when it is certain; when it fails there is no family.
    ///
    /// # Errors
    /// [`StoreError`], and what `record` returns.
    pub async fn start_family<E: From<StoreError>>(
        &self,
        family: &Family,
        refresh: &OpaqueDigest,
        now: i64,
        record: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let mut transaction = self.begin().await?;
        family
            .insert(transaction.connection()?, refresh, now)
            .await?;
        record()?;
        transaction.commit().await?;
        Ok(())
    }
}

impl Family {
    /// When a refresh token ends that is made now.
    pub(crate) fn next_end(&self, now: i64) -> i64 {
        let end = now.saturating_add(self.refresh_ttl);
        self.ends_at.map_or(end, |ends_at| end.min(ends_at))
    }

    /// Stores the family and its first refresh token.
    pub(super) async fn insert(
        &self,
        connection: &mut AnyConnection,
        refresh: &OpaqueDigest,
        now: i64,
    ) -> Result<(), StoreError> {
        let end = self.next_end(now);
        self.insert_ending(connection, refresh, now, now, end).await
    }

    /// Stores the family, which began at `created_at`, with the token that can be used, made at
    /// `issued_at`. Both end at `expires_at`.
    pub(super) async fn insert_ending(
        &self,
        connection: &mut AnyConnection,
        refresh: &OpaqueDigest,
        created_at: i64,
        issued_at: i64,
        expires_at: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO refresh_families (id, subject, audience, scopes, roles, refresh_ttl, \
             created_at, expires_at, origin, confirmation, ends_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(&self.id)
        .bind(&self.grant.subject)
        .bind(encode_list(&self.grant.audience))
        .bind(encode_list(&self.grant.scopes))
        .bind(encode_list(&self.grant.roles))
        .bind(self.refresh_ttl)
        .bind(created_at)
        .bind(expires_at)
        .bind(self.origin.name())
        .bind(&self.confirmation)
        .bind(self.ends_at)
        .execute(&mut *connection)
        .await?;
        insert_refresh(connection, refresh, &self.id, issued_at, expires_at).await
    }
}

/// Stores a refresh token of a family.
pub(super) async fn insert_refresh(
    connection: &mut AnyConnection,
    digest: &OpaqueDigest,
    family: &str,
    now: i64,
    expires_at: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO refresh_tokens (token_hash, family_id, issued_at, expires_at) \
         VALUES ($1, $2, $3, $4)",
    )
    .bind(digest.as_bytes())
    .bind(family)
    .bind(now)
    .bind(expires_at)
    .execute(connection)
    .await?;
    Ok(())
}
