use std::collections::BTreeSet;

use hashbrown::HashMap;

/// Casbin follows at most this many role links.
const HOPS: usize = 10;

/// For every symbol that is a member of a role: itself and all roles within ten links.
#[derive(Debug, Default)]
pub(super) struct RoleClosure(HashMap<u32, Box<[u32]>>);

impl RoleClosure {
    pub(super) fn new(links: &[(u32, u32)]) -> Self {
        let mut direct: HashMap<u32, Vec<u32>> = HashMap::new();
        for (member, role) in links {
            direct.entry(*member).or_default().push(*role);
        }
        let closure = |member: u32| {
            let mut reached = BTreeSet::from([member]);
            let mut frontier = vec![member];
            for _ in 0..HOPS {
                frontier = frontier
                    .iter()
                    .filter_map(|symbol| direct.get(symbol))
                    .flatten()
                    .copied()
                    .filter(|role| reached.insert(*role))
                    .collect();
                if frontier.is_empty() {
                    break;
                }
            }
            reached.into_iter().collect::<Box<[u32]>>()
        };
        Self(
            direct
                .keys()
                .map(|member| (*member, closure(*member)))
                .collect(),
        )
    }

    /// What `symbol` counts as; `None` when only as itself.
    pub(super) fn of(&self, symbol: u32) -> Option<&[u32]> {
        self.0.get(&symbol).map(AsRef::as_ref)
    }
}
