use super::{ConfigError, Requires};

/// Which tokens a request needs, with issuers as positions in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Requirement {
    /// A token of any issuer.
    AnyIssuer,
    Issuer(usize),
    Any {
        of: Vec<Requirement>,
        /// Whether no token at all will do.
        missing: bool,
        /// Whether refused tokens will do.
        failed: bool,
    },
    All(Vec<Requirement>),
}

/// What is known of a token that is asked for. Tokens are known by their positions in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Absent,
    /// It has to be looked at further.
    Open(usize),
    Good(usize),
    Failed(Failure),
}

/// Why a requirement is not fulfilled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Some tokens are there, and one that is needed is not.
    Incomplete,
    /// A token was refused.
    Refused(usize),
    /// A token was refused because keys are missing, which may be otherwise soon.
    Unavailable(usize),
    /// A token is good, and of another issuer.
    OtherIssuer(usize),
}

/// What requests are asked.
pub(super) trait Findings {
    /// The token of the issuer at this position.
    fn of_issuer(&self, issuer: usize) -> Finding;
    /// A token of any issuer: the first that is good.
    fn of_any_issuer(&self) -> Finding;
}

/// What becomes of a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Fulfilled(Used),
    /// This token has to be looked at first.
    Open(usize),
    /// There is no token at all.
    Missing,
    Failed(Failure),
}

/// The tokens that fulfil a requirement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// The one that makes the principal.
    pub(super) principal: Option<usize>,
    /// One bit for each, the principal's too.
    all: u64,
}

impl Requirement {
    const DEPTH: usize = 8;
    const MEMBERS: usize = 64;

    /// Reads `requires`, whose path is `field`. `position` finds issuers.
    pub(super) fn compile(
        requires: &Requires,
        field: &str,
        position: &dyn Fn(&str) -> Option<usize>,
    ) -> Result<Self, ConfigError> {
        Self::at(requires, field, position, 0)
    }

    /// What `findings` make of it.
    pub(super) fn evaluate(&self, findings: &impl Findings) -> Answer {
        match self {
            Requirement::AnyIssuer => findings.of_any_issuer().into(),
            Requirement::Issuer(issuer) => findings.of_issuer(*issuer).into(),
            Requirement::Any {
                of,
                missing,
                failed,
            } => any(of, *missing, *failed, findings),
            Requirement::All(of) => all(of, findings),
        }
    }

    fn at(
        requires: &Requires,
        field: &str,
        position: &dyn Fn(&str) -> Option<usize>,
        depth: usize,
    ) -> Result<Self, ConfigError> {
        let members = |of: &[Requires], name: &str| {
            let field = format!("{field}.{name}");
            if of.is_empty() || of.len() > Self::MEMBERS {
                let message = format!("needs 1 to {} members", Self::MEMBERS);
                return Err(ConfigError::field(field, message));
            }
            if depth >= Self::DEPTH {
                let message = format!("is nested deeper than {} times", Self::DEPTH);
                return Err(ConfigError::field(field, message));
            }
            let mut compiled = Vec::new();
            for (index, own) in of.iter().enumerate() {
                // These are said of the others.
                if matches!(own, Requires::AllowMissing | Requires::AllowMissingOrFailed)
                    && name == "any"
                {
                    continue;
                }
                let field = format!("{field}[{index}]");
                compiled.push(Self::at(own, &field, position, depth + 1)?);
            }
            Ok(compiled)
        };
        Ok(match requires {
            Requires::Issuer(name) => Requirement::Issuer(position(name).ok_or_else(|| {
                ConfigError::field(field, format!("`{name}` is none of `issuers`"))
            })?),
            Requires::AllowMissing => Self::lenient(Vec::new(), true, false),
            Requires::AllowMissingOrFailed => Self::lenient(Vec::new(), true, true),
            Requires::All(of) => Requirement::All(members(of, "all")?),
            Requires::Any(of) => {
                let failed = of.contains(&Requires::AllowMissingOrFailed);
                let missing = failed || of.contains(&Requires::AllowMissing);
                Self::lenient(members(of, "any")?, missing, failed)
            }
        })
    }

    fn lenient(mut of: Vec<Self>, missing: bool, failed: bool) -> Self {
        if of.is_empty() {
            of.push(Requirement::AnyIssuer);
        }
        Requirement::Any {
            of,
            missing,
            failed,
        }
    }
}

fn any(of: &[Requirement], missing: bool, failed: bool, findings: &impl Findings) -> Answer {
    let mut failure: Option<Failure> = None;
    for own in of {
        match own.evaluate(findings) {
            Answer::Missing => {}
            Answer::Failed(own) => failure = Some(worse(failure, own)),
            answer @ (Answer::Fulfilled(_) | Answer::Open(_)) => return answer,
        }
    }
    match failure {
        Some(_) if failed => Answer::Fulfilled(Used::default()),
        Some(failure) => Answer::Failed(failure),
        None if missing => Answer::Fulfilled(Used::default()),
        None => Answer::Missing,
    }
}

fn all(of: &[Requirement], findings: &impl Findings) -> Answer {
    let mut used = Used::default();
    let (mut missing, mut there) = (false, false);
    for own in of {
        match own.evaluate(findings) {
            Answer::Fulfilled(own) => {
                there |= own.all != 0;
                used = used.and(own);
            }
            // What is missing already needs no checks of what is there.
            Answer::Open(_) if missing => there = true,
            Answer::Missing => missing = true,
            answer @ (Answer::Open(_) | Answer::Failed(_)) => return answer,
        }
    }
    match (missing, there) {
        (false, _) => Answer::Fulfilled(used),
        (true, false) => Answer::Missing,
        (true, true) => Answer::Failed(Failure::Incomplete),
    }
}

/// The first counts, but for one that may pass soon.
pub(super) fn worse(first: Option<Failure>, next: Failure) -> Failure {
    match (first, next) {
        (None, next) => next,
        (Some(first), Failure::Unavailable(_)) if !matches!(first, Failure::Unavailable(_)) => next,
        (Some(first), _) => first,
    }
}

impl Used {
    fn one(token: usize) -> Self {
        Self {
            principal: Some(token),
            all: bit(token),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            principal: self.principal.or(other.principal),
            all: self.all | other.all,
        }
    }

    /// Whether it is one of those beside the principal's.
    pub(super) fn is_other(self, token: usize) -> bool {
        self.principal != Some(token) && self.all & bit(token) != 0
    }

    /// Whether there are any beside the principal's.
    pub(super) fn has_others(self) -> bool {
        self.all.count_ones() > 1
    }
}

/// There are fewer tokens than bits.
fn bit(token: usize) -> u64 {
    u32::try_from(token)
        .ok()
        .and_then(|token| 1_u64.checked_shl(token))
        .unwrap_or_default()
}

impl From<Finding> for Answer {
    fn from(finding: Finding) -> Self {
        match finding {
            Finding::Absent => Answer::Missing,
            Finding::Open(token) => Answer::Open(token),
            Finding::Good(token) => Answer::Fulfilled(Used::one(token)),
            Finding::Failed(failure) => Answer::Failed(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The findings of issuers `a`, `b` and `c`, whose tokens are 0, 1 and 2.
    struct Three([Finding; 3]);

    impl Findings for Three {
        fn of_issuer(&self, issuer: usize) -> Finding {
            self.0[issuer]
        }

        fn of_any_issuer(&self) -> Finding {
            let mut failure = None;
            for finding in self.0 {
                match finding {
                    Finding::Absent => {}
                    Finding::Failed(own) => failure = Some(worse(failure, own)),
                    other => return other,
                }
            }
            failure.map_or(Finding::Absent, Finding::Failed)
        }
    }

    fn compiled(text: &str) -> Result<Requirement, ConfigError> {
        let requires: Requires = serde_json::from_str(text).unwrap();
        Requirement::compile(&requires, "requires", &|name| {
            ["a", "b", "c"].iter().position(|own| *own == name)
        })
    }

    /// `-` absent, `?` open, `+` good, `x` refused, `u` without keys.
    fn findings(text: &str) -> Three {
        let mut own = [Finding::Absent; 3];
        for (token, (finding, letter)) in own.iter_mut().zip(text.chars()).enumerate() {
            *finding = match letter {
                '?' => Finding::Open(token),
                '+' => Finding::Good(token),
                'x' => Finding::Failed(Failure::Refused(token)),
                'u' => Finding::Failed(Failure::Unavailable(token)),
                _ => Finding::Absent,
            };
        }
        Three(own)
    }

    /// `pass`, with the principal's token and all others; else what is wrong.
    fn said(answer: Answer) -> String {
        match answer {
            Answer::Fulfilled(used) => {
                let others = (0..3).filter(|token| used.is_other(*token));
                let others: String = others.map(|token| format!(" and {token}")).collect();
                assert_eq!(used.has_others(), !others.is_empty());
                match used.principal {
                    Some(token) => format!("pass {token}{others}"),
                    None => "pass".to_owned(),
                }
            }
            Answer::Open(token) => format!("open {token}"),
            Answer::Missing => "missing".to_owned(),
            Answer::Failed(Failure::Incomplete) => "incomplete".to_owned(),
            Answer::Failed(Failure::Refused(token)) => format!("refused {token}"),
            Answer::Failed(Failure::Unavailable(token)) => format!("unavailable {token}"),
            Answer::Failed(Failure::OtherIssuer(token)) => format!("other {token}"),
        }
    }

    #[test]
    fn programs() {
        let any = r#"{"any":["a","b"]}"#;
        let all = r#"{"all":["b","a"]}"#;
        let any_missing = r#"{"any":["a","allow_missing"]}"#;
        let any_failed = r#"{"any":["a","allow_missing_or_failed"]}"#;
        let all_missing = r#"{"all":["a",{"any":["b","allow_missing"]}]}"#;
        let either_pair = r#"{"any":[{"all":["a","b"]},"c"]}"#;
        for (text, found, expected) in [
            (r#""a""#, "---", "missing"),
            (r#""a""#, "-++", "missing"),
            (r#""a""#, "?--", "open 0"),
            (r#""a""#, "+--", "pass 0"),
            (r#""a""#, "x+-", "refused 0"),
            (any, "--+", "missing"),
            (any, "x?-", "open 1"),
            (any, "x+-", "pass 1"),
            (any, "++-", "pass 0"),
            (any, "xx-", "refused 0"),
            (any, "xu-", "unavailable 1"),
            (any, "-x-", "refused 1"),
            (all, "---", "missing"),
            (all, "+--", "incomplete"),
            (all, "?--", "incomplete"),
            (all, "-?-", "open 1"),
            (all, "-+-", "incomplete"),
            (all, "?+-", "open 0"),
            (all, "++-", "pass 1 and 0"),
            (all, "x+-", "refused 0"),
            (all, "x--", "refused 0"),
            (r#""allow_missing""#, "---", "pass"),
            (r#""allow_missing""#, "--+", "pass 2"),
            (r#""allow_missing""#, "--x", "refused 2"),
            (r#""allow_missing_or_failed""#, "---", "pass"),
            (r#""allow_missing_or_failed""#, "x?-", "open 1"),
            (r#""allow_missing_or_failed""#, "x+-", "pass 1"),
            (r#""allow_missing_or_failed""#, "xux", "pass"),
            (any_missing, "--x", "pass"),
            (any_missing, "+--", "pass 0"),
            (any_missing, "x--", "refused 0"),
            (any_failed, "x--", "pass"),
            (any_failed, "?--", "open 0"),
            (all_missing, "+--", "pass 0"),
            (all_missing, "++-", "pass 0 and 1"),
            (all_missing, "+x-", "refused 1"),
            (all_missing, "-+-", "incomplete"),
            (all_missing, "---", "missing"),
            (either_pair, "+-+", "pass 2"),
            (either_pair, "++x", "pass 0 and 1"),
            (either_pair, "+--", "incomplete"),
            (r#"{"all":["a","a"]}"#, "+--", "pass 0"),
        ] {
            let answer = compiled(text).unwrap().evaluate(&findings(found));
            assert_eq!(said(answer), expected, "{text} {found}");
        }
    }

    #[test]
    fn mistakes_have_a_place() {
        let mut deep = r#""a""#.to_owned();
        for _ in 0..9 {
            deep = format!(r#"{{"any":[{deep}]}}"#);
        }
        let wide = format!(r#"{{"all":[{}]}}"#, [r#""a""#; 65].join(","));
        for (text, place) in [
            (r#""d""#, "requires"),
            (r#"{"any":[]}"#, "requires.any"),
            (
                r#"{"all":["a",{"any":["b","d"]}]}"#,
                "requires.all[1].any[1]",
            ),
            (deep.as_str(), ".any[0].any[0].any"),
            (wide.as_str(), "requires.all"),
        ] {
            let error = compiled(text).unwrap_err().to_string();
            assert!(error.contains(&format!("{place}`")), "{text}: {error}");
        }
    }
}
