use super::host::HostRule;
use super::template::Template;

/// A row of the table without its path, which the tree has.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) public: bool,
    pub(super) object: Template,
    pub(super) action: Template,
    /// None means all.
    pub(super) methods: Vec<String>,
    pub(super) host: Option<HostRule>,
}

impl Route {
    /// Whether it is for `method` at `host`, on paths that it matches.
    pub(super) fn is_for(&self, method: &str, host: Option<&str>) -> bool {
        let method_fits = self.methods.is_empty() || self.methods.iter().any(|own| own == method);
        method_fits
            && self
                .host
                .as_ref()
                .is_none_or(|rule| host.is_some_and(|host| rule.matches(host)))
    }

    /// Whether it is for every method and host that `other` is for.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let methods = self.methods.is_empty()
            || (!other.methods.is_empty()
                && other.methods.iter().all(|own| self.methods.contains(own)));
        methods
            && match (&self.host, &other.host) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(own), Some(narrower)) => own.covers(narrower),
            }
    }
}
