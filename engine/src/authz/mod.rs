//! The policy decision: may this principal do this action on this object.
//!
//! A model's matcher is split into alternatives of terms. Equalities and roles become the key of
//! a hash index over the rows, a path pattern an index over its segments; the rest is evaluated
//! on the rows found. Semantics are Casbin's (Go, v2), with these differences:
//!
//! * What can be seen to be wrong in a model or row (a bad pattern, types that do not go together,
//!   a field or function that does not exist) is an error when the policy is loaded, not when a
//!   request comes to it.
//! * Rows that the index leaves out are not evaluated, so that an error in one does not show.
//! * Patterns come from the policy, never from the request.

mod analysis;
mod authorize;
mod build;
mod clause;
mod compile;
mod compiled;
mod decision;
mod error;
mod evaluate;
mod explain;
mod first_rows;
pub mod functions;
mod index;
pub(crate) mod matcher;
mod node;
mod options;
mod pattern_index;
mod role_graph;
mod row_order;
mod rows;
mod symbols;
mod value;

pub use analysis::{
    AnalysisError, Answer, BASELINE_ROLES, Change, Finding, Grant, NearMiss, NodeKind,
    PermissionTable, PictureEdge, PictureNode, PolicyDiff, Reason, RolePicture, Severity, Side,
};
pub use authorize::{RowPlace, SubjectAnswer};
pub use compiled::CompiledPolicy;
pub use decision::Decision;
pub use error::AuthzError;
pub use explain::{ExplainedRow, Explanation};
pub use options::CompileOptions;
pub use value::RequestValue;
