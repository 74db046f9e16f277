/// When a bundle that is signed again and again counts.
///
/// All who sign the same policy between two renewals give it the same times, so that they make
/// the same payload: verifiers refuse another payload under a sequence that they know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleWindow {
    /// `iat`, Unix time in seconds.
    pub begins: i64,
    /// When a new bundle takes its place, Unix time in seconds: at half of its life.
    pub renewed: i64,
    /// `exp`, Unix time in seconds.
    pub expires: i64,
}

impl BundleWindow {
    /// The window that `now` (Unix time in seconds) is in, for bundles that live for `lifetime`
    /// seconds; at least two.
    ///
    /// ```
    /// use tokensmith_engine::policy::BundleWindow;
    /// let window = BundleWindow::at(1_800_000_123, 86_400);
    /// assert_eq!(window, BundleWindow::at(window.begins, 86_400));
    /// assert_eq!(window.expires - window.begins, 86_400);
    /// assert_eq!(window.renewed - window.begins, 43_200);
    /// ```
    pub fn at(now: i64, lifetime: i64) -> Self {
        let lifetime = lifetime.max(2);
        let half = lifetime / 2;
        let begins = now.saturating_sub(now.rem_euclid(half));
        Self {
            begins,
            renewed: begins.saturating_add(half),
            expires: begins.saturating_add(lifetime),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_in_use_has_half_of_its_life_before_it() {
        for lifetime in [-1, 0, 1, 2, 3, 7, 86_400] {
            for now in [-5, 0, 1, 2, 6, 1_800_000_000, 1_800_000_007] {
                let window = BundleWindow::at(now, lifetime);
                assert!(window.begins <= now && now < window.renewed);
                assert!(window.renewed < window.expires, "{window:?}");
                assert_eq!(BundleWindow::at(window.renewed - 1, lifetime), window);
                assert_ne!(BundleWindow::at(window.renewed, lifetime), window);
            }
        }
        // No time is out of reach.
        for now in [i64::MIN, i64::MAX] {
            assert!(BundleWindow::at(now, i64::MAX).begins <= now);
        }
    }
}
