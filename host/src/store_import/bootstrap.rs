use tokensmith_engine::exchange::ServiceGrant;

use super::members::Members;
use super::{ImportedBootstrap, RecordFault, StoredRecord};

impl StoredRecord for ImportedBootstrap {
    const ID: [&'static str; 2] = ["id", "ID"];

    fn read(members: &mut Members, stem: &str, roles: &[String]) -> Result<Self, RecordFault> {
        let hash = members.digest(["token_hash", "TokenHash"])?;
        if hash.text != stem {
            return Err(RecordFault::Name);
        }
        members.discard(Self::ID)?;
        // What counts is when it ends.
        members.discard(["ttl", "TTL"])?;
        members.discard(["consumed_by_ip", "ConsumedByIP"])?;
        members.discard(["replay_attempts", "ReplayAttempts"])?;
        let created_at = members.time(["created_at", "CreatedAt"])?;
        let consumed_at = members.optional_time(["consumed_at", "ConsumedAt"])?;
        // The first is a whole access token.
        let issued = [
            members.discard(["issued_access_token_id", "IssuedAccessTokenID"])?,
            members.discard(["issued_refresh_token_id", "IssuedRefreshTokenID"])?,
        ];
        Ok(Self {
            digest: hash.bytes,
            grant: ServiceGrant {
                subject: members.text(["subject", "Subject"])?,
                audience: vec![members.text(["audience", "Audience"])?],
                scopes: members.texts(["scopes", "Scopes"])?,
                roles: roles.to_vec(),
            },
            binding_identifier: members
                .optional_text(["binding_identifier", "BindingIdentifier"])?,
            created_at,
            expires_at: members.time(["expires_at", "ExpiresAt"])?,
            refresh_ttl: members.seconds(["refresh_ttl", "RefreshTTL"])?,
            redeemed_at: match consumed_at {
                None if issued.contains(&true) => Some(created_at),
                consumed_at => consumed_at,
            },
        })
    }

    fn digest(&self) -> [u8; 32] {
        self.digest
    }

    fn expires_at(&self) -> i64 {
        self.expires_at
    }

    fn speaks_for(&self) -> Option<(&str, i64)> {
        Some((&self.grant.subject, self.created_at))
    }
}
