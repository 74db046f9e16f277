use std::sync::Arc;

use super::clause::Clause;
use super::evaluate::Scope;
use super::first_rows::FirstRows;
use super::index::Index;
use super::node::Node;
use super::options::CompileOptions;
use super::role_graph::RoleGraph;
use super::rows::Rows;
use super::symbols::Symbols;
use super::value::RequestValue;
use super::{AuthzError, build};
use crate::policy::{Effect, Model, Origin, PolicyError, Rules};

/// The most values a request has.
pub(super) const VALUES: usize = 8;

/// Model and rules as an index: a decision costs a few look-ups, however many rules there are,
/// and allocates nothing. Immutable: a change of policy is another one.
#[derive(Debug)]
pub struct CompiledPolicy {
    pub(super) version: String,
    pub(super) matchers: Vec<Matcher>,
    pub(super) symbols: Symbols,
    pub(super) graphs: Vec<RoleGraph>,
    /// The rows of each kind.
    pub(super) tables: Vec<Rows>,
    /// Where each row of the rules is.
    pub(super) origins: Vec<Origin>,
    pub(super) sources: Vec<Arc<str>>,
    /// The kinds of rows and their fields.
    pub(super) kinds: Vec<(String, Vec<String>)>,
    /// The role relations, `g`, `g2`... in the order of the graphs.
    pub(super) relations: Vec<String>,
}

/// A matcher and what it goes with.
#[derive(Debug)]
pub(super) struct Matcher {
    pub(super) key: String,
    pub(super) request_fields: usize,
    pub(super) request_names: Vec<String>,
    pub(super) table: usize,
    pub(super) effect: Effect,
    pub(super) node: Node,
    pub(super) mentions_policy: bool,
    pub(super) evaluates: bool,
    pub(super) clauses: Vec<(Clause, Index)>,
}

impl CompiledPolicy {
    /// Compiles parsed texts; [`crate::policy::compile`] does both steps.
    pub(crate) fn new(
        model: &Model,
        rules: &Rules,
        version: String,
        options: &CompileOptions,
    ) -> Result<Self, PolicyError> {
        build::build(model, rules, version, options)
    }

    /// The policy version, see [`crate::policy::policy_version`].
    pub fn policy_version(&self) -> &str {
        &self.version
    }

    /// How many values a request of the matcher `m` has.
    pub fn request_fields(&self) -> usize {
        self.matchers
            .first()
            .map_or(0, |matcher| matcher.request_fields)
    }

    /// The names of those values.
    pub fn request_names(&self) -> &[String] {
        self.matchers
            .first()
            .map(|matcher| matcher.request_names.as_slice())
            .unwrap_or_default()
    }

    /// How many policy rows were loaded, repeated ones included.
    pub fn row_count(&self) -> usize {
        self.origins.len()
    }

    /// The bytes that rows, roles and indexes take, roughly.
    pub fn bytes(&self) -> usize {
        let tables: usize = self.tables.iter().map(Rows::bytes).sum();
        let graphs: usize = self.graphs.iter().map(RoleGraph::bytes).sum();
        let indexes: usize = self
            .matchers
            .iter()
            .flat_map(|matcher| &matcher.clauses)
            .map(|(_, index)| index.bytes())
            .sum();
        let origins = self.origins.capacity() * size_of::<Origin>();
        self.symbols.bytes() + tables + graphs + indexes + origins
    }

    /// Casbin's `enforce`: whether the policy allows a request of names.
    ///
    /// # Errors
    /// [`AuthzError`].
    ///
    /// ```
    /// let policy = tokensmith_engine::policy::compile_baseline().unwrap();
    /// assert_eq!(policy.enforce(&["role:viewer", "metadata:nodes", "read"]), Ok(true));
    /// assert_eq!(policy.enforce(&["role:viewer", "metadata:nodes", "delete"]), Ok(false));
    /// ```
    pub fn enforce(&self, request: &[&str]) -> Result<bool, AuthzError> {
        let mut values = [RequestValue::Text(""); VALUES];
        for (value, text) in values.iter_mut().zip(request) {
            *value = RequestValue::Text(text);
        }
        let values = values
            .get(..request.len())
            .ok_or_else(|| self.wrong_size(request.len()))?;
        self.evaluate(values)
    }

    /// As [`CompiledPolicy::enforce`], for requests with attributes.
    ///
    /// # Errors
    /// [`AuthzError`].
    ///
    /// ```
    /// use serde_json::json;
    /// use tokensmith_engine::policy::{Source, compile};
    /// let model = "[request_definition]\nr = sub, obj\n[policy_definition]\np = sub\n\
    ///     [policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = r.sub.Name == r.obj.Owner";
    /// let policy = compile(Source { name: "model.conf", text: model }, &[]).unwrap();
    /// let (alice, hers) = (json!({"Name": "alice"}), json!({"Owner": "alice"}));
    /// assert_eq!(policy.evaluate(&[(&alice).into(), (&hers).into()]), Ok(true));
    /// ```
    pub fn evaluate(&self, request: &[RequestValue<'_>]) -> Result<bool, AuthzError> {
        self.evaluate_in("", request)
    }

    /// As [`CompiledPolicy::evaluate`], by the matcher `m<context>` and its request, policy and
    /// effect; the context is empty or a number, as `2`.
    ///
    /// # Errors
    /// [`AuthzError`].
    pub fn evaluate_in(
        &self,
        context: &str,
        request: &[RequestValue<'_>],
    ) -> Result<bool, AuthzError> {
        let (number, matcher) = self.matcher(context)?;
        let (first, effect) = self.first_rows(number, matcher, request)?;
        Ok(first.allows(effect))
    }

    pub(super) fn matcher(&self, context: &str) -> Result<(usize, &Matcher), AuthzError> {
        self.matchers
            .iter()
            .enumerate()
            .find(|(_, matcher)| matcher.key.get(1..) == Some(context))
            .ok_or_else(|| AuthzError::Context(format!("m{context}")))
    }

    pub(super) fn scope<'s>(
        &'s self,
        number: usize,
        rows: &'s Rows,
        request: &'s [RequestValue<'s>],
    ) -> Scope<'s> {
        Scope {
            symbols: &self.symbols,
            graphs: &self.graphs,
            rows,
            matcher: number,
            request,
            row: None,
        }
    }

    /// Whether rows are looked at; without any, and for a matcher that asks for none, Casbin
    /// evaluates the matcher once, with empty policy values.
    pub(super) fn looks_at_rows(&self, matcher: &Matcher) -> bool {
        let rows = self.tables.get(matcher.table).map_or(0, Rows::len);
        rows > 0 && matcher.mentions_policy
    }

    /// The answer where no rows are looked at, as if one row had matched or none.
    pub(super) fn without_rows<'s>(
        &'s self,
        matcher: &'s Matcher,
        scope: &Scope<'s>,
    ) -> Result<FirstRows, AuthzError> {
        if matcher.evaluates && scope.rows.len() == 0 {
            return Err(AuthzError::NoRows);
        }
        let mut first = FirstRows::default();
        let value = scope.evaluate(&matcher.node)?;
        match value {
            super::value::Value::Bool(true) => first.add(0, false),
            super::value::Value::Bool(false) => {}
            other => return Err(AuthzError::Result(other.type_name())),
        }
        Ok(first)
    }

    pub(super) fn check_size(
        &self,
        matcher: &Matcher,
        request: &[RequestValue<'_>],
    ) -> Result<(), AuthzError> {
        if request.len() == matcher.request_fields {
            return Ok(());
        }
        Err(AuthzError::RequestSize {
            expected: matcher.request_fields,
            found: request.len(),
        })
    }

    pub(super) fn first_rows(
        &self,
        number: usize,
        matcher: &Matcher,
        request: &[RequestValue<'_>],
    ) -> Result<(FirstRows, Effect), AuthzError> {
        self.check_size(matcher, request)?;
        let effect = matcher.effect;
        let Some(rows) = self.tables.get(matcher.table) else {
            return Ok((FirstRows::default(), effect));
        };
        let scope = self.scope(number, rows, request);
        if !self.looks_at_rows(matcher) {
            return Ok((self.without_rows(matcher, &scope)?, effect));
        }
        let mut first = FirstRows::default();
        for (clause, index) in &matcher.clauses {
            if index.find(clause, &scope, effect, &mut first).is_err() {
                // Whether Casbin comes to the error depends on the order of rows and terms.
                return Ok((self.row_by_row(matcher, &scope)?, effect));
            }
            if first.is_decided(effect) {
                break;
            }
        }
        Ok((first, effect))
    }

    /// As Casbin does it: every row in order, until they decide or one has an error.
    fn row_by_row<'s>(
        &self,
        matcher: &'s Matcher,
        scope: &Scope<'s>,
    ) -> Result<FirstRows, AuthzError> {
        let mut first = FirstRows::default();
        for row in 0..scope.rows.len() {
            let scope = Scope {
                row: Some(row),
                ..*scope
            };
            if scope.matches(&matcher.node)? {
                first.add(row as u32, scope.rows.denies(row));
                if first.is_decided(matcher.effect) || matcher.effect.is_first_match() {
                    break;
                }
            }
        }
        Ok(first)
    }

    fn wrong_size(&self, found: usize) -> AuthzError {
        AuthzError::RequestSize {
            expected: self.request_fields(),
            found,
        }
    }
}
