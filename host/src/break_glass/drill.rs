use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::PathBuf;

use tokensmith_engine::claims::ClaimRules;
use tokensmith_engine::jose::{JwkSet, Limits};
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokensmith_engine::verify::{KeyRing, Verifier};

use super::{BreakGlassError, DEFAULT_LIFETIME, MintRequest, claims};
use crate::audit::{self, AuditLog};
use crate::key_set::KeyFolder;
use crate::private_file;
use crate::signing_key::{KeyKind, SigningKey};

/// What a drill looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrillSettings {
    /// The issuer tokens are made for.
    pub issuer: String,
    /// The one key, instead of the folder's.
    pub key_file: Option<PathBuf>,
    /// Folder of the keys.
    pub key_dir: PathBuf,
    /// The audit log.
    pub audit_log: PathBuf,
}

/// One line of the checklist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// What was found, or why it failed.
    pub result: Result<String, String>,
}

/// Does all that an emergency would need but with a key that is thrown away, and leaves nothing
/// behind.
pub fn drill(settings: &DrillSettings, now: i64) -> Vec<Check> {
    vec![
        check("the signing key can be used", signing_key(settings, now)),
        check("a token is made and verifies", mint(settings, now)),
        check("the audit log can be written", audit(settings)),
        check("the audit log is whole", chain(settings)),
    ]
}

fn check(name: &'static str, result: Result<String, String>) -> Check {
    Check { name, result }
}

fn signing_key(settings: &DrillSettings, now: i64) -> Result<String, String> {
    let described = |key: &SigningKey| format!("{} {}", key.algorithm(), key.kid());
    match &settings.key_file {
        Some(path) => SigningKey::open(path)
            .map(|key| described(&key))
            .map_err(|error| error.to_string()),
        None => KeyFolder::new(&settings.key_dir)
            .signing_key(now)
            .map(|key| described(&key))
            .map_err(|error| error.to_string()),
    }
}

fn mint(settings: &DrillSettings, now: i64) -> Result<String, String> {
    let audience = "break-glass-drill";
    let request = MintRequest {
        issuer: settings.issuer.clone(),
        subject: "drill".to_owned(),
        audience: vec![audience.to_owned()],
        scopes: vec!["drill".to_owned()],
        lifetime: DEFAULT_LIFETIME,
        cluster_id: "drill".to_owned(),
        openchami_id: "drill".to_owned(),
        reason: "drill".to_owned(),
    };
    let key = SigningKey::generate(KeyKind::Es256).map_err(|error| error.to_string())?;
    let token = claims(&request, now)
        .and_then(|claims| Ok(key.sign(&claims)?))
        .map_err(|error: BreakGlassError| error.to_string())?;
    let jwks = serde_json::json!({"keys": [key.jwk().to_json()]}).to_string();
    let limits = Limits::default();
    let set = JwkSet::parse(jwks.as_bytes(), &limits).map_err(|error| error.to_string())?;
    let ring = KeyRing::new([(settings.issuer.as_str(), &set)], &AwsLc);
    let rules = ClaimRules::tokensmith(settings.issuer.as_str(), [audience]);
    Verifier::new([rules], limits)
        .verify(&token, &ring, now)
        .map_err(|error| error.to_string())?;
    Ok("with a key that was thrown away".to_owned())
}

/// Opens the log as the record would be written, and leaves no new file behind.
fn audit(settings: &DrillSettings) -> Result<String, String> {
    let path = &settings.audit_log;
    if path.exists() {
        AuditLog::open(path).map_err(|error| error.to_string())?;
    } else {
        // Another file: a log that is begun meanwhile must not be taken away.
        let probe = path.with_extension(format!("drill-{}", std::process::id()));
        private_file::write(&probe, b"")
            .and_then(|()| std::fs::remove_file(&probe))
            .map_err(|error| format!("cannot write beside `{}`: {error}", path.display()))?;
    }
    Ok(path.display().to_string())
}

fn chain(settings: &DrillSettings) -> Result<String, String> {
    let file = match File::open(&settings.audit_log) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok("0 records".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    audit::verify(BufReader::new(file), None)
        .map(|chain| format!("{} records", chain.lines))
        .map_err(|fault| fault.to_string())
}
