use std::fmt;
use std::sync::Arc;

use super::compiled::CompiledPolicy;
use super::value::RequestValue;
use super::{AuthzError, Decision};
use crate::principal::Principal;

/// What the policy says of one subject of a principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubjectAnswer<'a> {
    /// The subject, as `role:viewer`.
    pub subject: &'a Arc<str>,
    /// Whether it is allowed.
    pub allowed: bool,
    /// The row that decided; none when no row matched.
    pub row: Option<RowPlace<'a>>,
}

/// Where a row is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowPlace<'a> {
    /// The source's name, usually a file.
    pub source: &'a Arc<str>,
    /// The line, from 1.
    pub line: u32,
}

impl CompiledPolicy {
    /// Whether `principal` may do `action` on `object`: allowed when any of its subjects is.
    ///
    /// An evaluation error of one subject is [`Decision::Error`] even when another is allowed.
    pub fn authorize(&self, principal: &Principal, object: &str, action: &str) -> Decision {
        self.authorize_each(principal, object, action, |_| {})
    }

    /// As [`CompiledPolicy::authorize`], telling what each subject got, in their order. Nothing is
    /// told when there was nothing to decide on, and nothing after an error.
    pub fn authorize_each(
        &self,
        principal: &Principal,
        object: &str,
        action: &str,
        tell: impl FnMut(SubjectAnswer<'_>),
    ) -> Decision {
        let (id, subjects) = (principal.id(), principal.shared_subjects());
        self.authorize_subjects(id, subjects, object, action, tell)
    }

    /// As [`CompiledPolicy::authorize_each`], for shells whose principal was verified by another
    /// module: its [`Principal::id`] and [`Principal::subjects`].
    ///
    /// ```
    /// use tokensmith_engine::authz::Decision;
    /// let policy = tokensmith_engine::policy::compile_baseline().unwrap();
    /// let subjects = ["role:viewer".into()];
    /// let may = |action| policy.authorize_subjects("alice", &subjects, "metadata:nodes", action, |_| {});
    /// assert_eq!((may("read"), may("delete")), (Decision::Allow, Decision::Deny));
    /// ```
    pub fn authorize_subjects(
        &self,
        id: &str,
        subjects: &[Arc<str>],
        object: &str,
        action: &str,
        mut tell: impl FnMut(SubjectAnswer<'_>),
    ) -> Decision {
        if id.trim().is_empty()
            || object.trim().is_empty()
            || action.trim().is_empty()
            || subjects.is_empty()
        {
            return Decision::Indeterminate;
        }
        let mut decision = Decision::Deny;
        for subject in subjects {
            match self.answer(subject, object, action) {
                Ok(answer) => {
                    if answer.allowed {
                        decision = Decision::Allow;
                    }
                    tell(answer);
                }
                Err(_) => return Decision::Error,
            }
        }
        decision
    }

    fn answer<'a>(
        &'a self,
        subject: &'a Arc<str>,
        object: &str,
        action: &str,
    ) -> Result<SubjectAnswer<'a>, AuthzError> {
        let request = [&**subject, object, action].map(RequestValue::Text);
        let (number, matcher) = self.matcher("")?;
        let (first, effect) = self.first_rows(number, matcher, &request)?;
        let row = first
            .decisive(effect)
            .filter(|_| self.looks_at_rows(matcher))
            .and_then(|row| self.place(matcher.table, row as usize));
        Ok(SubjectAnswer {
            subject,
            allowed: first.allows(effect),
            row,
        })
    }

    /// Where a row of a table is written.
    pub(super) fn place(&self, table: usize, row: usize) -> Option<RowPlace<'_>> {
        let index = self.tables.get(table)?.origins.get(row)?;
        let origin = self.origins.get(*index as usize)?;
        Some(RowPlace {
            source: self.sources.get(origin.source as usize)?,
            line: origin.line,
        })
    }
}

impl fmt::Display for RowPlace<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.source, self.line)
    }
}
