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
    /// `mint` makes the answer; when it fails there is no family.
    ///
    /// # Errors
    /// [`StoreError`], and what `mint` returns.
    pub async fn start_family<T, E: From<StoreError>>(
        &self,
        family: &Family,
        refresh: &OpaqueDigest,
        now: i64,
        mint: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut transaction = self.begin().await?;
        family
            .insert(transaction.connection()?, refresh, now)
            .await?;
        let answer = mint()?;
        transaction.commit().await?;
        Ok(answer)
    }
}

impl Family {
    /// Stores the family and its first refresh token.
    pub(super) async fn insert(
        &self,
        connection: &mut AnyConnection,
        refresh: &OpaqueDigest,
        now: i64,
    ) -> Result<(), StoreError> {
        let expires_at = now.saturating_add(self.refresh_ttl);
        sqlx::query(
            "INSERT INTO refresh_families (id, subject, audience, scopes, roles, refresh_ttl, \
             created_at, expires_at, origin, confirmation) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(&self.id)
        .bind(&self.grant.subject)
        .bind(encode_list(&self.grant.audience))
        .bind(encode_list(&self.grant.scopes))
        .bind(encode_list(&self.grant.roles))
        .bind(self.refresh_ttl)
        .bind(now)
        .bind(expires_at)
        .bind(self.origin.name())
        .bind(&self.confirmation)
        .execute(&mut *connection)
        .await?;
        insert_refresh(connection, refresh, &self.id, now, expires_at).await
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
