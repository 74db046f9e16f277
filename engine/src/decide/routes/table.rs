use std::borrow::Cow;
use std::sync::Arc;

use super::RouteConfig;
use super::host::host_of;
use super::route::Route;
use super::tree::Tree;
use crate::decide::ConfigError;

/// The routes of a configuration, in an index over paths. The first in order that matches counts,
/// as if all were tried one after the other; what a look-up costs depends on the path's length
/// and on the routes that have the very same path, not on how many others there are.
///
/// ```
/// use tokensmith_engine::decide::{RouteConfig, RouteTable};
/// let routes: Vec<RouteConfig> = serde_json::from_str(r#"[
///     {"match": {"exact": "/nodes/self"}, "public": true},
///     {"match": {"pattern": "/nodes/{id}/*"}, "object": "node:{id}", "action": "read"}
/// ]"#).unwrap();
/// let table = RouteTable::new(&routes).unwrap();
/// let found = table.find("GET", "/nodes/x1/boot", "").unwrap();
/// assert_eq!((found.index(), &*found.object(), &*found.action()), (1, "node:x1", "read"));
/// assert!(table.find("GET", "/nodes/self", "").unwrap().is_public());
/// assert!(table.find("GET", "/nodes", "").is_none());
/// ```
#[derive(Debug, Default)]
pub struct RouteTable {
    routes: Vec<Route>,
    tree: Tree,
    has_hosts: bool,
}

/// The route of a request.
#[derive(Clone, Copy, Debug)]
pub struct MatchedRoute<'t> {
    index: usize,
    route: &'t Route,
    path: &'t str,
}

impl RouteTable {
    /// Checks and indexes `routes`.
    ///
    /// # Errors
    /// [`ConfigError::Field`] with the position of a route that breaks a rule, or that is never
    /// reached because one route before it matches everything that it matches. Several that do so
    /// only together are not noticed.
    pub fn new(routes: &[RouteConfig]) -> Result<Self, ConfigError> {
        let mut table = Self::default();
        for (index, route) in routes.iter().enumerate() {
            table
                .add(route)
                .map_err(|message| ConfigError::field(format!("routes[{index}]"), message))?;
        }
        Ok(table)
    }

    /// The route for `method` on `path`, a path as [`crate::decide::normalise_path`] gives it.
    /// `authority` is the host the caller addressed, with or without port; empty if it is not
    /// known. Allocates nothing.
    pub fn find<'t>(
        &'t self,
        method: &str,
        path: &'t str,
        authority: &str,
    ) -> Option<MatchedRoute<'t>> {
        // Most tables have no hosts, and then there is nothing to take apart.
        let host = self.has_hosts.then_some(authority).and_then(host_of);
        let fits = |rank: u32| {
            self.routes
                .get(rank as usize)
                .is_some_and(|route| route.is_for(method, host))
        };
        let index = self.tree.find(path, fits)? as usize;
        let route = self.routes.get(index)?;
        Some(MatchedRoute { index, route, path })
    }

    /// Whether a route has a `host`, so that look-ups need the authority.
    pub fn has_hosts(&self) -> bool {
        self.has_hosts
    }

    fn add(&mut self, config: &RouteConfig) -> Result<(), String> {
        let (path, route) = config.compile()?;
        let covers = |rank: u32| {
            self.routes
                .get(rank as usize)
                .is_some_and(|earlier| earlier.covers(&route))
        };
        if let Some(earlier) = self.tree.covering(&path, covers) {
            return Err(format!(
                "is never reached: `routes[{earlier}]` matches everything that it matches"
            ));
        }
        let rank = u32::try_from(self.routes.len()).map_err(|_| "is one too many".to_owned())?;
        self.tree.insert(&path, rank);
        self.has_hosts |= route.host.is_some();
        self.routes.push(route);
        Ok(())
    }
}

impl<'t> MatchedRoute<'t> {
    /// Its position in the configuration, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Whether requests are handed on without a token.
    pub fn is_public(&self) -> bool {
        self.route.public
    }

    /// The object that policy decides on; empty for a public route.
    pub fn object(&self) -> Cow<'t, str> {
        self.route.object.fill(self.path)
    }

    pub(in crate::decide) fn shared_object(&self) -> Arc<str> {
        self.route.object.fill_shared(self.path)
    }

    pub(in crate::decide) fn shared_action(&self) -> Arc<str> {
        self.route.action.fill_shared(self.path)
    }

    /// The action that policy decides on; empty for a public route.
    pub fn action(&self) -> Cow<'t, str> {
        self.route.action.fill(self.path)
    }
}
