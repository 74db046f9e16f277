use super::clause::Clause;
use super::compile::{Names, Refused, check_get, compile};
use super::compiled::{CompiledPolicy, Matcher};
use super::evaluate::Scope;
use super::functions::{Function, Pattern};
use super::index::Index;
use super::matcher::{self, Expr};
use super::node::{Node, PatternSource};
use super::options::CompileOptions;
use super::role_graph::{GraphError, GraphLink, RoleGraph};
use super::row_order;
use super::rows::Rows;
use super::symbols::Symbols;
use crate::policy::{Definition, Location, Model, Named, PolicyError, Rules};

/// Compiles a parsed policy.
pub(super) fn build(
    model: &Model,
    rules: &Rules,
    version: String,
    options: &CompileOptions,
) -> Result<CompiledPolicy, PolicyError> {
    let mut symbols = Symbols::default();
    // 0 is the domain of relations that have none.
    symbols.intern("");
    let mut tables = Vec::new();
    for (kind, definition) in model.policies.iter().enumerate() {
        tables.push(table(kind, definition, model, rules, &mut symbols)?);
    }
    let mut graphs = Vec::new();
    for (kind, definition) in model.roles.iter().enumerate() {
        let names = options.names(&definition.key);
        let domains = options
            .domains(&definition.key)
            .or_else(|| domain_matching(model));
        let has_domains = definition.places > 2;
        graphs.push(graph(
            kind,
            has_domains,
            names,
            domains,
            rules,
            &mut symbols,
        )?);
    }
    let mut compiled = CompiledPolicy {
        version,
        matchers: Vec::new(),
        symbols,
        graphs,
        tables,
        origins: rules.rows.iter().map(|row| row.origin).collect(),
        sources: rules.sources.clone(),
        relations: model.roles.iter().map(|own| own.key.clone()).collect(),
        kinds: model
            .policies
            .iter()
            .map(|own| (own.key.clone(), own.fields.clone()))
            .collect(),
    };
    for number in 0..model.matchers.len() {
        let own = one_matcher(number, model, rules, &mut compiled)?;
        compiled.matchers.push(own);
    }
    Ok(compiled)
}

/// Casbin turns on domain patterns by itself, for every relation with domains, when the matcher
/// has this very text.
fn domain_matching(model: &Model) -> Option<Function> {
    let second = |definition: &Definition| definition.fields.get(1).cloned();
    let (request, policy) = (model.requests.first()?, model.policies.first()?);
    let (request, policy) = (second(request)?, second(policy)?);
    let matcher = &model.matchers.first()?.text;
    matcher
        .contains(&format!("keyMatch(r.{request}, p.{policy})"))
        .then_some(Function::KeyMatch)
}

fn table(
    kind: usize,
    definition: &Definition,
    model: &Model,
    rules: &Rules,
    symbols: &mut Symbols,
) -> Result<Rows, PolicyError> {
    let mut rows = Rows {
        width: definition.fields.len(),
        ..Rows::default()
    };
    for (index, row) in row_order::ordered(kind, definition, model, rules)? {
        rows.cells
            .extend(row.values.iter().map(|value| symbols.intern(value)));
        rows.denies.push(row.deny);
        rows.origins.push(index as u32);
    }
    Ok(rows)
}

fn graph(
    kind: usize,
    has_domains: bool,
    names: Option<Function>,
    domains: Option<Function>,
    rules: &Rules,
    symbols: &mut Symbols,
) -> Result<RoleGraph, PolicyError> {
    let own: Vec<_> = rules.links.iter().filter(|own| own.kind == kind).collect();
    let links: Vec<GraphLink> = own
        .iter()
        .map(|link| GraphLink {
            member: symbols.intern(&link.member),
            role: symbols.intern(&link.role),
            domain: symbols.intern(&link.domain),
            origin: link.origin,
        })
        .collect();
    RoleGraph::new(links, has_domains, names, domains, symbols).map_err(|error| match error {
        GraphError::Pattern(index, message) => PolicyError::Syntax {
            at: own.get(index).map_or(
                Location {
                    source: String::new(),
                    line: 1,
                    column: 1,
                },
                |link| rules.location(link.origin, 1),
            ),
            message,
        },
        GraphError::TooLarge => PolicyError::TooLarge {
            name: rules
                .sources
                .first()
                .map(ToString::to_string)
                .unwrap_or_default(),
            limit: "20,000,000 roles that members have through others",
        },
    })
}

fn one_matcher(
    number: usize,
    model: &Model,
    rules: &Rules,
    compiled: &mut CompiledPolicy,
) -> Result<Matcher, PolicyError> {
    let missing = |what: &str| PolicyError::MissingSection {
        model: what.to_owned(),
        section: "matchers",
    };
    let own = model.matchers.get(number).ok_or_else(|| missing("m"))?;
    let suffix = own.key.trim_start_matches('m');
    let key = |letter: &str| format!("{letter}{suffix}");
    let find =
        |definitions: &[Definition], key: &str| definitions.iter().position(|own| own.key == key);
    let request = find(&model.requests, &key("r")).ok_or_else(|| missing("r"))?;
    let policy = find(&model.policies, &key("p")).ok_or_else(|| missing("p"))?;
    let effect = model
        .effects
        .iter()
        .find(|own| own.key == key("e"))
        .ok_or_else(|| missing("e"))?
        .value;
    let (Some(request), Some(definition)) =
        (model.requests.get(request), model.policies.get(policy))
    else {
        return Err(missing("r"));
    };
    let names = Names {
        model,
        request,
        policy: definition,
        may_eval: true,
    };
    let node = compile(&own.value, names).map_err(|refused| {
        let at = Location {
            column: own.at.column + refused.column.map_or(0, |column| column - 1),
            ..own.at.clone()
        };
        error(at, refused)
    })?;
    check_readings(own, &node, definition, &compiled.graphs)?;
    let Some(rows) = compiled.tables.get_mut(policy) else {
        return Err(missing("p"));
    };
    let filler = Filler {
        rules,
        symbols: &compiled.symbols,
    };
    filler.fill(number, &node, rows, names)?;
    let evaluates = node.any(&|node| matches!(node, Node::Eval { .. }));
    let mut clauses = Vec::new();
    for clause in Clause::split(&node, &compiled.graphs) {
        let chosen = choose(number, &clause, policy, rules, compiled)?;
        let Some(rows) = compiled.tables.get(policy) else {
            continue;
        };
        let index = Index::new(&clause, &chosen, rows);
        clauses.push((clause, index));
    }
    Ok(Matcher {
        key: own.key.clone(),
        request_fields: request.fields.len(),
        request_names: request.fields.clone(),
        table: policy,
        effect,
        mentions_policy: node.mentions_policy(),
        evaluates,
        node,
        clauses,
    })
}

/// Refuses what Casbin reads as something else than is written, and patterns of a caller.
fn check_readings(
    own: &Named<Expr>,
    node: &Node,
    policy: &Definition,
    graphs: &[RoleGraph],
) -> Result<(), PolicyError> {
    let refuse = |message: &str| {
        Err(PolicyError::Unsupported {
            at: own.at.clone(),
            message: message.to_owned(),
        })
    };
    if !node.mentions_policy() && own.text.contains(&format!("{}_", policy.key)) {
        return refuse(&format!(
            "Casbin takes `{}_` for a policy field, and this matcher has none: use another name",
            policy.key
        ));
    }
    let callers_pattern = node.any(&|node| match node {
        Node::Role { graph, role, .. } => {
            role.mentions_request() && graphs.get(*graph).is_some_and(|own| own.names().is_some())
        }
        _ => false,
    });
    if callers_pattern {
        return refuse("a role that the request names would be a pattern of the caller");
    }
    Ok(())
}

/// The rows that the clause's own conditions on rows leave.
fn choose(
    number: usize,
    clause: &Clause,
    table: usize,
    rules: &Rules,
    compiled: &CompiledPolicy,
) -> Result<Vec<u32>, PolicyError> {
    let Some(rows) = compiled.tables.get(table) else {
        return Ok(Vec::new());
    };
    let mut chosen = Vec::with_capacity(rows.len());
    'rows: for row in 0..rows.len() {
        let scope = Scope {
            symbols: &compiled.symbols,
            graphs: &compiled.graphs,
            rows,
            matcher: number,
            request: &[],
            row: Some(row),
        };
        for filter in &clause.filters {
            match scope.bool(filter, "&&") {
                Ok(true) => {}
                Ok(false) => continue 'rows,
                Err(error) => {
                    return Err(PolicyError::Syntax {
                        at: origin(rows, row, rules),
                        message: format!("the matcher cannot be evaluated on this row: {error}"),
                    });
                }
            }
        }
        chosen.push(row as u32);
    }
    Ok(chosen)
}

fn origin(rows: &Rows, row: usize, rules: &Rules) -> Location {
    rows.origins
        .get(row)
        .and_then(|index| rules.rows.get(*index as usize))
        .map_or(
            Location {
                source: String::new(),
                line: 1,
                column: 1,
            },
            |row| rules.location(row.origin, 1),
        )
}

fn error(at: Location, refused: Refused) -> PolicyError {
    let message = refused.message;
    if refused.unsupported {
        PolicyError::Unsupported { at, message }
    } else {
        PolicyError::Syntax { at, message }
    }
}

/// Compiles what a matcher takes from rows: patterns and rules.
struct Filler<'f> {
    rules: &'f Rules,
    symbols: &'f Symbols,
}

impl Filler<'_> {
    fn fill(
        &self,
        number: usize,
        node: &Node,
        rows: &mut Rows,
        names: Names<'_>,
    ) -> Result<(), PolicyError> {
        let mut fields = Vec::new();
        let mut rules = Vec::new();
        collect(node, &mut fields, &mut rules);
        for field in &rules {
            self.compile_rules(number, *field, rows, names, &mut fields)?;
        }
        fields.sort_by_key(|(function, field)| (function.name(), *field));
        fields.dedup();
        for (function, field) in fields {
            self.compile_patterns(function, field, rows)?;
        }
        Ok(())
    }

    fn compile_rules(
        &self,
        number: usize,
        field: usize,
        rows: &mut Rows,
        names: Names<'_>,
        fields: &mut Vec<(Function, usize)>,
    ) -> Result<(), PolicyError> {
        for row in 0..rows.len() {
            let Some(cell) = rows.cell(row, field) else {
                continue;
            };
            if rows.rules.contains_key(&(number, cell)) {
                continue;
            }
            let at = || self.cell_location(rows, row, field);
            let text = self.symbols.text(cell);
            let expr = matcher::parse_rule(text).map_err(|refused| PolicyError::Syntax {
                at: at(),
                message: format!("rule `{text}`: {refused}"),
            })?;
            let names = Names {
                may_eval: false,
                ..names
            };
            let rule = compile(&expr, names).map_err(|refused| {
                let message = format!("rule `{text}`: {}", refused.message);
                error(at(), Refused { message, ..refused })
            })?;
            collect(&rule, fields, &mut Vec::new());
            rows.rules.insert((number, cell), rule);
        }
        Ok(())
    }

    fn compile_patterns(
        &self,
        function: Function,
        field: usize,
        rows: &mut Rows,
    ) -> Result<(), PolicyError> {
        for row in 0..rows.len() {
            let Some(cell) = rows.cell(row, field) else {
                continue;
            };
            let text = self.symbols.text(cell);
            let syntax = |message: String| PolicyError::Syntax {
                at: self.cell_location(rows, row, field),
                message,
            };
            if !function.is_predicate() {
                check_get(function, text).map_err(syntax)?;
            } else if !rows.patterns.contains_key(&(function, cell)) {
                let pattern =
                    Pattern::compile(function, text).map_err(|error| syntax(error.to_string()))?;
                rows.patterns.insert((function, cell), pattern);
            }
        }
        Ok(())
    }

    fn cell_location(&self, rows: &Rows, row: usize, field: usize) -> Location {
        rows.origins
            .get(row)
            .and_then(|index| self.rules.rows.get(*index as usize))
            .map_or_else(
                || origin(rows, row, self.rules),
                |row| self.rules.location(row.origin, row.column(field)),
            )
    }
}

/// The policy fields that are patterns, by function, and those that are rules.
fn collect(node: &Node, fields: &mut Vec<(Function, usize)>, rules: &mut Vec<usize>) {
    let found = std::cell::RefCell::new((fields, rules));
    node.any(&|node| {
        let (fields, rules) = &mut *found.borrow_mut();
        match node {
            Node::Match {
                function,
                pattern: PatternSource::Policy { field },
                ..
            } => fields.push((*function, *field)),
            Node::KeyGet {
                function,
                arguments,
            } => {
                if let Some(Node::Policy { field }) = arguments.get(1) {
                    fields.push((*function, *field));
                }
            }
            Node::Eval { field } => rules.push(*field),
            _ => {}
        }
        false
    });
}
