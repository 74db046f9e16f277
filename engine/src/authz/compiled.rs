use hashbrown::HashMap;
use thiserror::Error;

use super::Decision;
use super::roles::RoleClosure;
use crate::policy::{Effect, MatchTerm, Model, Rules};
use crate::principal::Principal;

/// Model and rules as an index: a decision costs a few hash look-ups, however many rules there
/// are, and allocates nothing.
#[derive(Debug)]
pub struct CompiledPolicy {
    version: String,
    request_fields: usize,
    effect: Effect,
    terms: Vec<MatchTerm>,
    symbols: HashMap<Box<str>, u32>,
    rows: HashMap<RowKey, RowEffects>,
    roles: RoleClosure,
    row_count: usize,
}

/// Why a request could not be evaluated. Never an allow.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AuthzError {
    /// Not as many values as the request definition has fields.
    #[error("request has {found} values, the model needs {expected}")]
    RequestSize {
        /// Fields of the request definition.
        expected: usize,
        /// Values given.
        found: usize,
    },
}

impl AuthzError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            AuthzError::RequestSize { .. } => "request_size",
        }
    }
}

/// One symbol for each term of the matcher, in the terms' order; models have at most 8.
type RowKey = [u32; 8];

#[derive(Clone, Copy, Debug, Default)]
struct RowEffects {
    allow: bool,
    deny: bool,
}

impl CompiledPolicy {
    /// Compiles parsed texts; [`crate::policy::compile`] does both steps.
    pub(crate) fn new(model: &Model, rules: &Rules, version: String) -> Self {
        let mut symbols = Symbols::default();
        let mut rows: HashMap<RowKey, RowEffects> = HashMap::with_capacity(rules.rows.len());
        for row in &rules.rows {
            let mut key = RowKey::default();
            for (slot, term) in key.iter_mut().zip(&model.terms) {
                let (MatchTerm::Equal { policy, .. } | MatchTerm::Role { policy, .. }) = term;
                let value = row
                    .values
                    .get(*policy)
                    .map(String::as_str)
                    .unwrap_or_default();
                *slot = symbols.intern(value);
            }
            let effects = rows.entry(key).or_default();
            effects.allow |= !row.deny;
            effects.deny |= row.deny;
        }
        let links: Vec<(u32, u32)> = rules
            .groupings
            .iter()
            .map(|(member, role)| (symbols.intern(member), symbols.intern(role)))
            .collect();
        Self {
            version,
            request_fields: model.request.len(),
            effect: model.effect,
            terms: model.terms.clone(),
            rows,
            roles: RoleClosure::new(&links),
            symbols: symbols.0,
            row_count: rules.rows.len(),
        }
    }

    /// The policy version, see [`crate::policy::policy_version`].
    pub fn policy_version(&self) -> &str {
        &self.version
    }

    /// How many values a request has.
    pub fn request_fields(&self) -> usize {
        self.request_fields
    }

    /// How many policy rows were loaded, repeated ones included.
    pub fn row_count(&self) -> usize {
        self.row_count
    }

    /// Casbin's `enforce`: whether the policy allows the request values.
    ///
    /// # Errors
    /// [`AuthzError::RequestSize`].
    ///
    /// ```
    /// let policy = tokensmith_engine::policy::compile_baseline().unwrap();
    /// assert_eq!(policy.enforce(&["role:viewer", "metadata:nodes", "read"]), Ok(true));
    /// assert_eq!(policy.enforce(&["role:viewer", "metadata:nodes", "delete"]), Ok(false));
    /// ```
    pub fn enforce(&self, request: &[&str]) -> Result<bool, AuthzError> {
        if request.len() != self.request_fields {
            return Err(AuthzError::RequestSize {
                expected: self.request_fields,
                found: request.len(),
            });
        }
        let mut effects = RowEffects::default();
        self.collect(request, 0, RowKey::default(), &mut effects);
        Ok(match self.effect {
            Effect::AllowOverride => effects.allow,
            Effect::DenyOverride => !effects.deny,
            Effect::AllowAndDeny => effects.allow && !effects.deny,
        })
    }

    /// Whether `principal` may do `action` on `object`: allowed when any of its subjects is.
    ///
    /// An evaluation error of one subject is [`Decision::Error`] even when another is allowed.
    pub fn authorize(&self, principal: &Principal, object: &str, action: &str) -> Decision {
        if principal.id().trim().is_empty()
            || object.trim().is_empty()
            || action.trim().is_empty()
            || principal.subjects().len() == 0
        {
            return Decision::Indeterminate;
        }
        let mut decision = Decision::Deny;
        for subject in principal.subjects() {
            match self.enforce(&[subject, object, action]) {
                Ok(true) => decision = Decision::Allow,
                Ok(false) => {}
                Err(_) => return Decision::Error,
            }
        }
        decision
    }

    fn collect(&self, request: &[&str], depth: usize, key: RowKey, effects: &mut RowEffects) {
        let Some(term) = self.terms.get(depth) else {
            if let Some(found) = self.rows.get(&key) {
                effects.allow |= found.allow;
                effects.deny |= found.deny;
            }
            return;
        };
        let (MatchTerm::Equal { request: field, .. } | MatchTerm::Role { request: field, .. }) =
            *term;
        // A value that no rule mentions can match no rule.
        let Some(symbol) = request
            .get(field)
            .and_then(|value| self.symbols.get(*value))
        else {
            return;
        };
        let mut descend = |symbol: u32| {
            let mut key = key;
            if let Some(slot) = key.get_mut(depth) {
                *slot = symbol;
                self.collect(request, depth + 1, key, effects);
            }
        };
        match (term, self.roles.of(*symbol)) {
            (MatchTerm::Role { .. }, Some(roles)) => roles.iter().copied().for_each(descend),
            _ => descend(*symbol),
        }
    }
}

#[derive(Default)]
struct Symbols(HashMap<Box<str>, u32>);

impl Symbols {
    fn intern(&mut self, value: &str) -> u32 {
        if let Some(symbol) = self.0.get(value) {
            return *symbol;
        }
        // 0 is the filler of unused slots.
        let symbol = self.0.len() as u32 + 1;
        self.0.insert(value.into(), symbol);
        symbol
    }
}
