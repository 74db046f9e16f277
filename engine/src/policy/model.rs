use super::effect::Effect;
use super::sections::{Entry, sections};
use super::{Location, PolicyError, Source};
use crate::authz::matcher::{self, Expr};

/// More fields than any published Casbin model has.
pub(super) const FIELDS: usize = 8;
/// The most definitions of one kind.
const DEFINITIONS: u32 = 9;

/// A Casbin model.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) requests: Vec<Definition>,
    pub(crate) policies: Vec<Definition>,
    pub(crate) roles: Vec<RoleDefinition>,
    pub(crate) effects: Vec<Named<Effect>>,
    pub(crate) matchers: Vec<Named<Expr>>,
}

/// The fields of a kind of request or row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Definition {
    /// `r`, `p`, `r2`...
    pub(crate) key: String,
    /// In order.
    pub(crate) fields: Vec<String>,
    pub(crate) at: Location,
}

/// A role relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoleDefinition {
    /// `g`, `g2`...
    pub(crate) key: String,
    /// 2, or 3 with a domain.
    pub(crate) places: usize,
}

/// An effect or a matcher, with its key.
#[derive(Clone, Debug)]
pub(crate) struct Named<T> {
    /// `e`, `m`, `e2`...
    pub(crate) key: String,
    pub(crate) value: T,
    /// The value as it is written.
    pub(crate) text: String,
    /// Where the value begins.
    pub(crate) at: Location,
}

impl Model {
    /// Parses a `model.conf`.
    ///
    /// # Errors
    /// [`PolicyError`] with file, line and column; what Casbin allows and this compiler does not
    /// is [`PolicyError::Unsupported`], never a different answer.
    pub fn parse(source: Source<'_>) -> Result<Self, PolicyError> {
        let entries = sections(source)?;
        let of = |section: &'static str| {
            let found: Vec<&Entry> = entries
                .iter()
                .filter(|entry| entry.section == section)
                .collect();
            numbered(&found)?;
            // The one without a number first, wherever it is written.
            let mut found = found;
            found.sort_by(|one, other| one.key.cmp(&other.key));
            Ok::<_, PolicyError>(found)
        };
        let required = |section: &'static str| {
            let found = of(section)?;
            if found.is_empty() {
                return Err(PolicyError::MissingSection {
                    model: source.name.to_owned(),
                    section,
                });
            }
            Ok(found)
        };
        let requests = definitions(&required("request_definition")?)?;
        let policies = definitions(&required("policy_definition")?)?;
        let effects = required("policy_effect")?
            .into_iter()
            .map(|entry| {
                Ok(Named {
                    key: entry.key.clone(),
                    value: Effect::parse(&entry.value, &entry.at)?,
                    text: entry.value.clone(),
                    at: entry.at.clone(),
                })
            })
            .collect::<Result<Vec<_>, PolicyError>>()?;
        let matchers = required("matchers")?
            .into_iter()
            .map(matcher)
            .collect::<Result<Vec<_>, _>>()?;
        let roles = of("role_definition")?
            .into_iter()
            .map(role)
            .collect::<Result<Vec<_>, _>>()?;
        let model = Self {
            requests,
            policies,
            roles,
            effects,
            matchers,
        };
        model.check()?;
        Ok(model)
    }

    pub(crate) fn role(&self, key: &str) -> Option<&RoleDefinition> {
        self.roles.iter().find(|own| own.key == key)
    }

    /// Each matcher has a request, a policy and an effect of its number.
    fn check(&self) -> Result<(), PolicyError> {
        for matcher in &self.matchers {
            let number = matcher.key.trim_start_matches('m');
            let missing = [("r", &self.requests), ("p", &self.policies)]
                .into_iter()
                .find(|(kind, own)| {
                    !own.iter()
                        .any(|definition| definition.key == format!("{kind}{number}"))
                })
                .map(|(kind, _)| kind)
                .or_else(|| {
                    let key = format!("e{number}");
                    (!self.effects.iter().any(|own| own.key == key)).then_some("e")
                });
            if let Some(kind) = missing {
                let at = Location {
                    column: 1,
                    ..matcher.at.clone()
                };
                return Err(PolicyError::Syntax {
                    at,
                    message: format!(
                        "matcher `{}` needs `{kind}{number}`, which is not defined",
                        matcher.key
                    ),
                });
            }
        }
        let subject_priority = self
            .effects
            .iter()
            .find(|effect| effect.value == Effect::SubjectPriority);
        match subject_priority {
            Some(effect) if self.role("g").is_none() => Err(PolicyError::Syntax {
                at: effect.at.clone(),
                message: "`subjectPriority` needs the role relation `g`".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

impl Definition {
    pub(crate) fn position(&self, field: &str) -> Option<usize> {
        self.fields.iter().position(|own| own == field)
    }
}

/// Keys are the section's letter, alone first, then 2, 3 and so on.
fn numbered(entries: &[&Entry]) -> Result<(), PolicyError> {
    for entry in entries {
        let letter = entry.key.get(..1).unwrap_or_default();
        let number = entry.key.get(1..).unwrap_or_default();
        let before = match number.parse::<u32>() {
            _ if number.is_empty() => continue,
            Ok(2) => letter.to_owned(),
            Ok(own) if own <= DEFINITIONS && !number.starts_with('0') => {
                format!("{letter}{}", own - 1)
            }
            _ => {
                return Err(PolicyError::Syntax {
                    at: entry.key_at.clone(),
                    message: format!(
                        "`{}` is not a key: expected `{letter}` or `{letter}2` to `{letter}{DEFINITIONS}`",
                        entry.key
                    ),
                });
            }
        };
        // Casbin stops reading a section at the first number that is not there.
        if !entries.iter().any(|other| other.key == before) {
            return Err(PolicyError::Syntax {
                at: entry.key_at.clone(),
                message: format!("`{}` without `{before}`", entry.key),
            });
        }
    }
    Ok(())
}

fn definitions(entries: &[&Entry]) -> Result<Vec<Definition>, PolicyError> {
    entries
        .iter()
        .map(|entry| {
            Ok(Definition {
                key: entry.key.clone(),
                fields: fields(entry)?,
                at: entry.at.clone(),
            })
        })
        .collect()
}

fn fields(entry: &Entry) -> Result<Vec<String>, PolicyError> {
    let mut found: Vec<String> = Vec::new();
    let mut offset = 0;
    for part in entry.value.split(',') {
        let lead = part.chars().take_while(|own| own.is_whitespace()).count();
        let at = entry.at_character(offset + lead);
        offset += part.chars().count() + 1;
        let field = part.trim();
        let is_name = |own: char| own.is_ascii_alphanumeric() || own == '_';
        let message = if field.is_empty() {
            "a field has no name".to_owned()
        } else if !field.chars().all(is_name) || field.starts_with(|own: char| own.is_ascii_digit())
        {
            format!("`{field}` is not a field name: letters, digits and `_` are")
        } else if found.iter().any(|own| own == field) {
            format!("field `{field}` is defined twice")
        } else if found.len() == FIELDS {
            format!("more than {FIELDS} fields")
        } else {
            found.push(field.to_owned());
            continue;
        };
        return Err(PolicyError::Syntax { at, message });
    }
    Ok(found)
}

fn role(entry: &Entry) -> Result<RoleDefinition, PolicyError> {
    let places: Vec<&str> = entry.value.split(',').map(str::trim).collect();
    if entry.value.contains('(') {
        return Err(PolicyError::Unsupported {
            at: entry.at.clone(),
            message: "conditional roles are not supported".to_owned(),
        });
    }
    if places.len() < 2 || places.iter().any(|place| *place != "_") {
        return Err(PolicyError::Syntax {
            at: entry.at.clone(),
            message: format!("expected `_, _` or `_, _, _`, found `{}`", entry.value),
        });
    }
    if places.len() > 3 {
        return Err(PolicyError::Unsupported {
            at: entry.at.clone(),
            message: "role relations have a member, a role and at most a domain".to_owned(),
        });
    }
    Ok(RoleDefinition {
        key: entry.key.clone(),
        places: places.len(),
    })
}

fn matcher(entry: &Entry) -> Result<Named<Expr>, PolicyError> {
    let value = matcher::parse(&entry.value).map_err(|error| PolicyError::Syntax {
        at: entry.at_character(error.column.saturating_sub(1)),
        message: error.message,
    })?;
    Ok(Named {
        key: entry.key.clone(),
        value,
        text: entry.value.clone(),
        at: entry.at.clone(),
    })
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
        assert_eq!(model.requests[0].fields, ["sub", "obj", "act"]);
        assert_eq!(model.roles[0].places, 2);
    }

    #[test]
    fn mistakes_name_the_place() {
        let cases = [
            ("nonsense", "m.conf:1:1: expected `[section]`"),
            ("[policy]\n", "m.conf:1:1: unknown section `policy`"),
            ("r = a", "m.conf:1:1: `r` is outside of any section"),
            (
                "[request_definition]\nr = a, a",
                "m.conf:2:8: field `a` is defined twice",
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
    }
}
