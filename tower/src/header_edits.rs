use http::header::{HeaderMap, HeaderName, HeaderValue};
use tokensmith_engine::decide::Outcome;

/// The names of headers that are set and removed, ready for use.
#[derive(Debug)]
pub(crate) struct HeaderNames(Vec<(String, HeaderName)>);

/// Changes of headers that a decision asks for. `None` removes every copy.
pub(crate) struct HeaderEdits(Vec<(HeaderName, Option<HeaderValue>)>);

impl HeaderNames {
    pub(crate) fn new(names: impl IntoIterator<Item = String>) -> Self {
        let names = names.into_iter().filter_map(|name| {
            let ready = HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name, ready))
        });
        Self(names.collect())
    }

    fn get(&self, name: &str) -> Option<HeaderName> {
        let known = self.0.iter().find(|(own, _)| own == name);
        match known {
            Some((_, ready)) => Some(ready.clone()),
            None => HeaderName::from_bytes(name.as_bytes()).ok(),
        }
    }
}

impl HeaderEdits {
    /// With `identity` off, what says who the caller is is removed and not set.
    pub(crate) fn of(outcome: &Outcome<'_>, names: &HeaderNames, identity: bool) -> Self {
        let edits = outcome.header_edits().filter_map(|(name, value)| {
            let ready = names.get(name)?;
            let set = value
                .filter(|_| identity || !outcome.strip.iter().any(|own| own == name))
                // What no header can hold is not there.
                .and_then(|value| HeaderValue::from_str(value).ok());
            Some((ready, set))
        });
        Self(edits.collect())
    }

    pub(crate) fn apply(self, headers: &mut HeaderMap) {
        for (name, value) in self.0 {
            match value {
                Some(value) => drop(headers.insert(name, value)),
                None => drop(headers.remove(name)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_goes() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-a", "1"), ("x-a", "2"), ("x-b", "1"), ("x-b", "2")] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let names = HeaderNames::new(["x-a".to_owned(), "not a name".to_owned()]);
        let edits = HeaderEdits(vec![
            (names.get("x-a").unwrap(), None),
            (
                names.get("x-b").unwrap(),
                Some(HeaderValue::from_static("3")),
            ),
        ]);
        assert!(names.get("not a name").is_none());
        edits.apply(&mut headers);
        assert!(!headers.contains_key("x-a"));
        let left: Vec<_> = headers.get_all("x-b").iter().collect();
        assert_eq!(left, ["3"]);
    }
}
