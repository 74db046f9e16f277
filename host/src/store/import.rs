use sqlx::AnyConnection;

use super::family::{Family, FamilyOrigin};
use super::{OpaqueDigest, Store, StoreError, encode_list};
use crate::store_import::{ImportConflict, ImportReport, ImportedBootstrap, ImportedFamily};

/// What became of one record.
enum Imported {
    New,
    There { closed: bool },
}

impl Store {
    /// Takes over the records of another store: all of them, or none where one contradicts what
    /// is here, or with `dry_run`. What is here is only ever closed: redeemed, revoked.
    ///
    /// # Errors
    /// [`StoreError::Database`]. Contradictions are in the report.
    pub async fn import(
        &self,
        tokens: &[ImportedBootstrap],
        families: &[ImportedFamily],
        dry_run: bool,
    ) -> Result<ImportReport, StoreError> {
        let mut report = ImportReport::default();
        let mut transaction = self.begin().await?;
        for token in tokens {
            let counts = &mut report.bootstrap_tokens;
            match import_token(transaction.connection()?, token).await? {
                Imported::New => counts.imported += 1,
                Imported::There { closed } => counts.there(closed),
            }
        }
        for family in families {
            let counts = &mut report.refresh_families;
            match import_family(transaction.connection()?, family).await? {
                Ok(Imported::New) => counts.imported += 1,
                Ok(Imported::There { closed }) => counts.there(closed),
                Err(conflict) => report.conflicts.push(conflict),
            }
        }
        if !dry_run && report.conflicts.is_empty() {
            transaction.commit().await?;
        }
        Ok(report)
    }
}

async fn import_token(
    connection: &mut AnyConnection,
    token: &ImportedBootstrap,
) -> Result<Imported, StoreError> {
    let digest = OpaqueDigest::from(token.digest);
    let made = sqlx::query(
        "INSERT INTO bootstrap_tokens (token_hash, subject, audience, scopes, roles, \
         binding_identifier, refresh_ttl, created_at, expires_at, redeemed_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (token_hash) DO NOTHING",
    )
    .bind(digest.as_bytes())
    .bind(&token.grant.subject)
    .bind(encode_list(&token.grant.audience))
    .bind(encode_list(&token.grant.scopes))
    .bind(encode_list(&token.grant.roles))
    .bind(&token.binding_identifier)
    .bind(token.refresh_ttl)
    .bind(token.created_at)
    .bind(token.expires_at)
    .bind(token.redeemed_at)
    .execute(&mut *connection)
    .await?;
    if made.rows_affected() == 1 {
        return Ok(Imported::New);
    }
    let Some(redeemed_at) = token.redeemed_at else {
        return Ok(Imported::There { closed: false });
    };
    let closed = sqlx::query(
        "UPDATE bootstrap_tokens SET redeemed_at = $1 \
         WHERE token_hash = $2 AND redeemed_at IS NULL",
    )
    .bind(redeemed_at)
    .bind(digest.as_bytes())
    .execute(connection)
    .await?;
    Ok(Imported::There {
        closed: closed.rows_affected() == 1,
    })
}

async fn import_family(
    connection: &mut AnyConnection,
    imported: &ImportedFamily,
) -> Result<Result<Imported, ImportConflict>, StoreError> {
    let digest = OpaqueDigest::from(imported.digest);
    let holder: Option<String> =
        sqlx::query_scalar("SELECT family_id FROM refresh_tokens WHERE token_hash = $1")
            .bind(digest.as_bytes())
            .fetch_optional(&mut *connection)
            .await?;
    match holder {
        Some(holder) if holder != imported.id => {
            return Ok(Err(ImportConflict::OtherFamily(imported.id.clone())));
        }
        Some(_) => {
            let Some(revoked_at) = imported.revoked_at else {
                return Ok(Ok(Imported::There { closed: false }));
            };
            return Ok(Ok(revoke(connection, &imported.id, revoked_at).await?));
        }
        None => {}
    }
    let there: Option<String> = sqlx::query_scalar("SELECT id FROM refresh_families WHERE id = $1")
        .bind(&imported.id)
        .fetch_optional(&mut *connection)
        .await?;
    if there.is_some() {
        return Ok(Err(ImportConflict::MovedOn(imported.id.clone())));
    }
    let family = Family {
        id: imported.id.clone(),
        origin: FamilyOrigin::Bootstrap,
        grant: imported.grant.clone(),
        refresh_ttl: imported.refresh_ttl,
        confirmation: None,
        ends_at: Some(imported.ends_at),
    };
    // Its token ends with it, as where it comes from.
    family
        .insert_ending(
            connection,
            &digest,
            imported.created_at,
            imported.issued_at,
            imported.ends_at,
        )
        .await?;
    if let Some(revoked_at) = imported.revoked_at {
        revoke(connection, &imported.id, revoked_at).await?;
    }
    Ok(Ok(Imported::New))
}

async fn revoke(
    connection: &mut AnyConnection,
    family: &str,
    revoked_at: i64,
) -> Result<Imported, StoreError> {
    let done = sqlx::query(
        "UPDATE refresh_families SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL",
    )
    .bind(revoked_at)
    .bind(family)
    .execute(connection)
    .await?;
    Ok(Imported::There {
        closed: done.rows_affected() == 1,
    })
}
