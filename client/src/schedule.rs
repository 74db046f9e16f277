use std::time::Duration;

/// When tokens are renewed, and how long to wait after failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// A token is renewed this long before it ends; short ones when two thirds of them are over.
    pub refresh_before: Duration,
    /// The wait after the first failure. It doubles with each one that follows.
    pub first_wait: Duration,
    /// The longest wait, unless the service asks for a longer one.
    pub longest_wait: Duration,
    /// How often [`crate::ServiceClient::start`] tries before it gives up.
    pub start_attempts: u32,
}

/// Waits are no longer than this, whatever a service asks for.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

impl Schedule {
    /// How long after it was issued a token of this lifetime is renewed. Up to a tenth of that
    /// time is cut off at random, so that services that started together do not ask together.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tokensmith_client::Schedule;
    /// let hour = Duration::from_secs(3600);
    /// assert_eq!(Schedule::default().renew_after(hour, 0), Duration::from_secs(3300));
    /// ```
    pub fn renew_after(&self, lifetime: Duration, random: u64) -> Duration {
        let before = self.refresh_before.min(lifetime / 3);
        let wait = lifetime.saturating_sub(before);
        wait.saturating_sub(part(wait / 10, random))
    }

    /// How long to wait after so many failures in a row: between half of the wait and all of it.
    pub fn wait_after(&self, failures: u32, asked: Option<Duration>, random: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let wait = self
            .first_wait
            .saturating_mul(1 << doublings)
            .min(self.longest_wait);
        let wait = wait.saturating_sub(part(wait / 2, random));
        wait.max(asked.unwrap_or_default().min(LONGEST_ASKED))
    }
}

impl Default for Schedule {
    /// Five minutes before the end, waits from one second to fifteen, five attempts.
    fn default() -> Self {
        Self {
            refresh_before: Duration::from_secs(300),
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(15),
            start_attempts: 5,
        }
    }
}

/// A part of `most`, from none of it to all of it.
fn part(most: Duration, random: u64) -> Duration {
    let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random.checked_rem(millis.saturating_add(1)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn tokens_are_renewed_before_they_end() {
        let schedule = Schedule::default();
        for (lifetime, latest) in [
            (3600, 3300),
            (900, 600),
            (600, 400),
            (30, 20),
            (3, 2),
            (0, 0),
        ] {
            let (lifetime, latest) = (SECOND * lifetime, SECOND * latest);
            assert_eq!(schedule.renew_after(lifetime, 0), latest);
            for random in [1, 7, 12_345, u64::MAX] {
                let wait = schedule.renew_after(lifetime, random);
                assert!(wait <= latest && wait >= latest.mul_f64(0.9), "{wait:?}");
            }
        }
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let schedule = Schedule::default();
        let waits = [
            (0, 1),
            (1, 1),
            (2, 2),
            (3, 4),
            (4, 8),
            (5, 15),
            (6, 15),
            (u32::MAX, 15),
        ];
        for (failures, wait) in waits {
            assert_eq!(schedule.wait_after(failures, None, 0), SECOND * wait);
            for random in [3, 499, 1_000_003, u64::MAX] {
                let spread = schedule.wait_after(failures, None, random);
                assert!(spread <= SECOND * wait && spread >= SECOND * wait / 2);
            }
        }
        let asked = |seconds: u32| Some(SECOND * seconds);
        assert_eq!(schedule.wait_after(1, asked(60), 5), SECOND * 60);
        assert_eq!(schedule.wait_after(5, asked(3), 0), SECOND * 15);
        assert_eq!(schedule.wait_after(1, asked(1_000_000), 0), SECOND * 3600);
    }
}
