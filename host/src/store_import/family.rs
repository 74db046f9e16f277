use tokensmith_engine::exchange::ServiceGrant;

use super::members::{MOST_SECONDS, Members};
use super::{ImportedFamily, RecordFault, StoredRecord};

const EXPIRES_AT: [&str; 2] = ["expires_at", "ExpiresAt"];

impl StoredRecord for ImportedFamily {
    const ID: [&'static str; 2] = ["family_id", "FamilyID"];

    fn read(members: &mut Members, stem: &str, roles: &[String]) -> Result<Self, RecordFault> {
        let id = members.text(Self::ID)?;
        if id != stem {
            return Err(RecordFault::Name);
        }
        let created_at = members.time(["issued_at", "IssuedAt"])?;
        let ends_at = members.time(EXPIRES_AT)?;
        let refresh_ttl = ends_at.saturating_sub(created_at);
        if !(1..=MOST_SECONDS).contains(&refresh_ttl) {
            return Err(RecordFault::Member {
                member: "expires_at",
                expected: "between 1 second and 10 years after `issued_at`",
            });
        }
        let used_at = members.optional_time(["last_used_at", "LastUsedAt"])?;
        let revoked_at = members.optional_time(["revoked_at", "RevokedAt"])?;
        let replayed_at = members.optional_time(["replay_detected_at", "ReplayDetectedAt"])?;
        Ok(Self {
            id,
            digest: members
                .digest(["current_token_hash", "CurrentTokenHash"])?
                .bytes,
            grant: ServiceGrant {
                subject: members.text(["subject", "Subject"])?,
                audience: vec![members.text(["audience", "Audience"])?],
                scopes: members.texts(["scopes", "Scopes"])?,
                roles: roles.to_vec(),
            },
            binding_identifier: members
                .optional_text(["binding_identifier", "BindingIdentifier"])?,
            created_at,
            ends_at,
            refresh_ttl,
            issued_at: used_at.map_or(created_at, |used_at| used_at.max(created_at)),
            usage_count: members.count(["usage_count", "UsageCount"])?,
            revoked_at: revoked_at.or(replayed_at),
        })
    }

    fn digest(&self) -> [u8; 32] {
        self.digest
    }

    fn expires_at(&self) -> i64 {
        self.ends_at
    }

    fn speaks_for(&self) -> Option<(&str, i64)> {
        None
    }
}
