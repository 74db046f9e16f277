use super::{Location, PolicyError, Source};

const MODEL_BYTES: usize = 64 * 1024;
/// More fields than any published Casbin model has.
const FIELDS: usize = 8;

/// A Casbin model of the kind the compiler indexes: a conjunction of equalities and of `g()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Request fields, in order.
    pub request: Vec<String>,
    /// Policy fields, in order, without `eft`.
    pub policy: Vec<String>,
    /// Position of `eft` among the policy row's values, when the definition has it.
    pub effect_column: Option<usize>,
    /// Whether the model defines the role relation `g`.
    pub has_roles: bool,
    /// How matching rows decide.
    pub effect: Effect,
    /// The matcher's terms; all have to hold.
    pub terms: Vec<MatchTerm>,
}

/// `policy_effect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// `some(where (p.eft == allow))`.
    AllowOverride,
    /// `!some(where (p.eft == deny))`.
    DenyOverride,
    /// `some(where (p.eft == allow)) && !some(where (p.eft == deny))`.
    AllowAndDeny,
}

/// One term of the matcher: positions of the request and the policy field it compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchTerm {
    /// `r.x == p.y`.
    Equal {
        /// Position of the request field.
        request: usize,
        /// Position of the policy field.
        policy: usize,
    },
    /// `g(r.x, p.y)`.
    Role {
        /// Position of the request field.
        request: usize,
        /// Position of the policy field.
        policy: usize,
    },
}

struct Entry<'s> {
    section: &'s str,
    key: &'s str,
    value: &'s str,
    at: Location,
}

impl Model {
    /// Parses a `model.conf`.
    ///
    /// # Errors
    /// [`PolicyError`]; what Casbin allows and this compiler does not is
    /// [`PolicyError::Unsupported`], never a different answer.
    pub fn parse(source: Source<'_>) -> Result<Self, PolicyError> {
        if source.text.len() > MODEL_BYTES {
            return Err(PolicyError::TooLarge {
                name: source.name.to_owned(),
                limit: "64 KiB",
            });
        }
        let entries = entries(source)?;
        let find = |section: &'static str, key: &str| {
            entries
                .iter()
                .find(|entry| entry.section == section && entry.key == key)
        };
        let required = |section: &'static str, key: &str| {
            find(section, key).ok_or_else(|| PolicyError::MissingSection {
                model: source.name.to_owned(),
                section,
            })
        };
        let request = fields(required("request_definition", "r")?)?;
        let mut policy = fields(required("policy_definition", "p")?)?;
        let effect_column = policy.iter().position(|field| field == "eft");
        if let Some(column) = effect_column {
            if column + 1 != policy.len() {
                return Err(unsupported(
                    required("policy_definition", "p")?,
                    "`eft` must be the last policy field",
                ));
            }
            policy.pop();
        }
        let has_roles = match find("role_definition", "g") {
            None => false,
            Some(entry) => {
                if fields(entry)?.len() != 2 {
                    return Err(unsupported(entry, "only `g = _, _` is supported"));
                }
                true
            }
        };
        let effect = effect(required("policy_effect", "e")?)?;
        let matcher = required("matchers", "m")?;
        let terms = matcher
            .value
            .split("&&")
            .map(|text| {
                term(text, &request, &policy, has_roles).map_err(|why| unsupported(matcher, &why))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let position = |term: &MatchTerm| match term {
            MatchTerm::Equal { policy, .. } | MatchTerm::Role { policy, .. } => *policy,
        };
        let compared_twice = terms.iter().enumerate().any(|(index, term)| {
            terms
                .iter()
                .skip(index + 1)
                .any(|other| position(other) == position(term))
        });
        if compared_twice {
            return Err(unsupported(
                matcher,
                "a policy field may be compared only once",
            ));
        }
        Ok(Self {
            request,
            policy,
            effect_column,
            has_roles,
            effect,
            terms,
        })
    }
}

fn entries(source: Source<'_>) -> Result<Vec<Entry<'_>>, PolicyError> {
    const KNOWN: [(&str, &str); 5] = [
        ("request_definition", "r"),
        ("policy_definition", "p"),
        ("role_definition", "g"),
        ("policy_effect", "e"),
        ("matchers", "m"),
    ];
    let mut section = "";
    let mut found: Vec<Entry<'_>> = Vec::new();
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(source.text);
    for (index, raw) in text.lines().enumerate() {
        let line = raw.split(['#', ';']).next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let at = Location {
            source: source.name.to_owned(),
            line: index + 1,
            column: raw
                .chars()
                .take_while(|character| character.is_whitespace())
                .count()
                + 1,
        };
        let syntax = |message: String| PolicyError::Syntax {
            at: at.clone(),
            message,
        };
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name.trim();
            if !KNOWN.iter().any(|(known, _)| *known == section) {
                return Err(syntax(format!("unknown section `{section}`")));
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(syntax(format!(
                "expected `[section]` or `key = value`, found `{line}`"
            )));
        };
        let (key, value) = (key.trim(), value.trim());
        if section.is_empty() {
            return Err(syntax(format!("`{key}` is outside of any section")));
        }
        if found
            .iter()
            .any(|entry| entry.section == section && entry.key == key)
        {
            return Err(syntax(format!(
                "`{key}` is defined twice in section `{section}`"
            )));
        }
        let entry = Entry {
            section,
            key,
            value,
            at: at.clone(),
        };
        if !KNOWN.contains(&(section, key)) {
            return Err(unsupported(
                &entry,
                &format!("`{key}` in section `{section}` is not supported"),
            ));
        }
        found.push(entry);
    }
    Ok(found)
}

fn unsupported(entry: &Entry<'_>, message: &str) -> PolicyError {
    PolicyError::Unsupported {
        at: entry.at.clone(),
        message: message.to_owned(),
    }
}

fn fields(entry: &Entry<'_>) -> Result<Vec<String>, PolicyError> {
    let fields: Vec<String> = entry
        .value
        .split(',')
        .map(|field| field.trim().to_owned())
        .collect();
    let duplicate = fields.iter().enumerate().any(|(index, field)| {
        field != "_" && fields.iter().skip(index + 1).any(|other| other == field)
    });
    if fields.len() > FIELDS || duplicate || fields.iter().any(String::is_empty) {
        return Err(PolicyError::Syntax {
            at: entry.at.clone(),
            message: format!(
                "expected 1 to {FIELDS} different field names, found `{}`",
                entry.value
            ),
        });
    }
    Ok(fields)
}

fn effect(entry: &Entry<'_>) -> Result<Effect, PolicyError> {
    let compact: String = entry
        .value
        .chars()
        .filter(|character| !character.is_whitespace())
        .collect();
    match compact.as_str() {
        "some(where(p.eft==allow))" => Ok(Effect::AllowOverride),
        "!some(where(p.eft==deny))" => Ok(Effect::DenyOverride),
        "some(where(p.eft==allow))&&!some(where(p.eft==deny))" => Ok(Effect::AllowAndDeny),
        _ => Err(unsupported(
            entry,
            &format!("policy effect `{}` is not supported", entry.value),
        )),
    }
}

fn term(
    text: &str,
    request: &[String],
    policy: &[String],
    has_roles: bool,
) -> Result<MatchTerm, String> {
    let text = text.trim();
    let field = |name: &str, prefix: &str, fields: &[String]| {
        let name = name.trim().strip_prefix(prefix)?;
        fields.iter().position(|field| field == name)
    };
    let both =
        |left: &str, right: &str| Some((field(left, "r.", request)?, field(right, "p.", policy)?));
    let refused = || {
        format!(
            "matcher term `{text}` is not supported: expected `g(r.<field>, p.<field>)` or \
             `r.<field> == p.<field>` with defined fields"
        )
    };
    if let Some(arguments) = text
        .strip_prefix("g(")
        .and_then(|rest| rest.strip_suffix(')'))
    {
        if !has_roles {
            return Err("matcher uses `g` but section `role_definition` is missing".to_owned());
        }
        let (left, right) = arguments.split_once(',').ok_or_else(refused)?;
        let (request, policy) = both(left, right).ok_or_else(refused)?;
        return Ok(MatchTerm::Role { request, policy });
    }
    let (left, right) = text.split_once("==").ok_or_else(refused)?;
    let (request, policy) = both(left, right)
        .or_else(|| both(right, left))
        .ok_or_else(refused)?;
    Ok(MatchTerm::Equal { request, policy })
}

#[cfg(test)]
mod tests {
    use super::super::BASELINE_MODEL;
    use super::*;

    fn parse(text: &str) -> Result<Model, PolicyError> {
        Model::parse(Source {
            name: "m.conf",
            text,
        })
    }

    #[test]
    fn baseline_model() {
        let model = parse(BASELINE_MODEL).unwrap();
        assert_eq!(model.request, ["sub", "obj", "act"]);
        assert_eq!(model.terms.len(), 3);
    }

    #[test]
    fn mistakes_name_the_place() {
        let cases = [
            ("nonsense", "m.conf:1:1: expected `[section]`"),
            ("[policy]\n", "m.conf:1:1: unknown section `policy`"),
            ("r = a", "m.conf:1:1: `r` is outside of any section"),
            (
                "[request_definition]\nr = a, a",
                "m.conf:2:1: expected 1 to 8 different",
            ),
            (
                "[request_definition]\nr = a",
                "m.conf: missing required section `policy_definition`",
            ),
        ];
        for (text, message) in cases {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
        let error =
            parse(&BASELINE_MODEL.replace("r.obj == p.obj", "keyMatch(r.obj, p.obj)")).unwrap_err();
        assert_eq!(error.code(), "policy_unsupported");
        assert!(
            error
                .to_string()
                .contains("m.conf:14:1: matcher term `keyMatch"),
            "{error}"
        );
    }
}
