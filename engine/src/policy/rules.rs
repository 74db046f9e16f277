use std::sync::Arc;

use super::csv::{Field, split};
use super::model::Definition;
use super::{Location, Model, PolicyError, Source};

const SOURCE_BYTES: usize = 64 * 1024 * 1024;
const ROWS: usize = 2_000_000;

/// A policy row of a kind: one value for each field of its definition.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// `p`, `p2`...: its position among the model's.
    pub(crate) kind: usize,
    /// The values as they are written, `eft` included.
    pub(crate) values: Vec<String>,
    pub(crate) deny: bool,
    pub(crate) origin: Origin,
    /// Where each value begins.
    columns: Vec<u32>,
}

/// A link of a role relation.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// `g`, `g2`...: its position among the model's.
    pub(crate) kind: usize,
    pub(crate) member: String,
    pub(crate) role: String,
    /// Empty where the relation has no domains.
    pub(crate) domain: String,
    pub(crate) origin: Origin,
}

/// The line a row or link is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Position among [`Rules::sources`].
    pub(crate) source: u32,
    pub(crate) line: u32,
}

/// The parsed rows of all sources, in order.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    pub(crate) rows: Vec<Row>,
    pub(crate) links: Vec<Link>,
    /// The names of the sources.
    pub(crate) sources: Vec<Arc<str>>,
}

impl Rules {
    /// Parses CSV rules. `#` starts a comment outside of quotes; a field in double quotes may
    /// contain commas and `#`, and `""` for a quote.
    ///
    /// # Errors
    /// [`PolicyError`]; a row of an unknown kind is an error, not a comment.
    pub fn parse(sources: &[Source<'_>], model: &Model) -> Result<Self, PolicyError> {
        let mut rules = Self::default();
        for source in sources {
            rules.read(*source, model)?;
        }
        Ok(rules)
    }

    /// How many `p` rows there are, repeated ones included.
    pub fn row_count(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn location(&self, origin: Origin, column: usize) -> Location {
        Location {
            source: self
                .sources
                .get(origin.source as usize)
                .map(ToString::to_string)
                .unwrap_or_default(),
            line: origin.line as usize,
            column,
        }
    }

    fn read(&mut self, source: Source<'_>, model: &Model) -> Result<(), PolicyError> {
        let too_large = |limit| PolicyError::TooLarge {
            name: source.name.to_owned(),
            limit,
        };
        if source.text.len() > SOURCE_BYTES {
            return Err(too_large("64 MiB"));
        }
        let number = self.sources.len() as u32;
        self.sources.push(source.name.into());
        let text = source.text.strip_prefix('\u{feff}').unwrap_or(source.text);
        for (line, number_of_line) in text.lines().zip(1..) {
            let origin = Origin {
                source: number,
                line: number_of_line,
            };
            let syntax = |column: usize, message: String| PolicyError::Syntax {
                at: Location {
                    source: source.name.to_owned(),
                    line: number_of_line as usize,
                    column,
                },
                message,
            };
            let fields =
                split(line).map_err(|(column, message)| syntax(column, message.to_owned()))?;
            let Some((kind, values)) = fields.split_first() else {
                continue;
            };
            if self.rows.len() + self.links.len() >= ROWS {
                return Err(too_large("2,000,000 rows"));
            }
            self.take(&kind.text, values, model, origin)
                .map_err(|message| syntax(kind.column, message))?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        kind: &str,
        values: &[Field],
        model: &Model,
        origin: Origin,
    ) -> Result<(), String> {
        if let Some((definition, index)) = model
            .policies
            .iter()
            .zip(0..)
            .find(|(own, _)| own.key == kind)
        {
            self.rows.push(row(index, definition, values, origin)?);
            return Ok(());
        }
        if let Some((definition, index)) =
            model.roles.iter().zip(0..).find(|(own, _)| own.key == kind)
        {
            let texts: Vec<&str> = values.iter().map(|field| field.text.as_str()).collect();
            let (member, role, domain) = match (texts.as_slice(), definition.places) {
                ([member, role], 2) => (*member, *role, ""),
                ([member, role, domain], 3) => (*member, *role, *domain),
                (_, 2) => {
                    return Err(format!(
                        "grouping row needs 2 values after `{kind}` (member, role), found {}",
                        values.len()
                    ));
                }
                _ => {
                    return Err(format!(
                        "grouping row needs 3 values after `{kind}` (member, role, domain), found {}",
                        values.len()
                    ));
                }
            };
            self.links.push(Link {
                kind: index,
                member: member.to_owned(),
                role: role.to_owned(),
                domain: domain.to_owned(),
                origin,
            });
            return Ok(());
        }
        let message = match kind.chars().next() {
            Some('g') => {
                format!("grouping row, but the model has no `{kind}` in section `role_definition`")
            }
            _ => {
                let known: Vec<String> = model
                    .policies
                    .iter()
                    .map(|own| &own.key)
                    .chain(model.roles.iter().map(|own| &own.key))
                    .map(|key| format!("`{key}`"))
                    .collect();
                format!(
                    "unknown kind of row `{kind}`: expected {}",
                    known.join(" or ")
                )
            }
        };
        Err(message)
    }
}

impl Row {
    /// The column its value `field` begins in.
    pub(crate) fn column(&self, field: usize) -> usize {
        self.columns.get(field).map_or(1, |column| *column as usize)
    }

    pub(crate) fn value(&self, field: usize) -> &str {
        self.values
            .get(field)
            .map(String::as_str)
            .unwrap_or_default()
    }
}

fn row(
    kind: usize,
    definition: &Definition,
    values: &[Field],
    origin: Origin,
) -> Result<Row, String> {
    let expected = definition.fields.len();
    let effect = definition.position("eft");
    let mut texts: Vec<String> = values.iter().map(|field| field.text.clone()).collect();
    let mut columns: Vec<u32> = values.iter().map(|field| field.column as u32).collect();
    // A last `eft` may be left out, as many policies do.
    if effect == Some(texts.len()) && expected == texts.len() + 1 {
        texts.push("allow".to_owned());
        columns.push(1);
    }
    if texts.len() != expected {
        return Err(format!(
            "policy row needs {expected} values after `{}` ({}), found {}",
            definition.key,
            definition.fields.join(", "),
            values.len()
        ));
    }
    let deny = match effect
        .and_then(|column| texts.get(column))
        .map(String::as_str)
    {
        None | Some("allow") => false,
        Some("deny") => true,
        Some(other) => return Err(format!("effect `{other}` is neither `allow` nor `deny`")),
    };
    Ok(Row {
        kind,
        values: texts,
        deny,
        origin,
        columns,
    })
}
