//! Whether one endpoint is given requests: a state machine that is told what happened and when. It has no clock and
//! does nothing by itself, so that each rule can be tried with given times.
//!
//! ```text
//!            cannot be reached                       a connection was made
//! Healthy ───────────────────────▶ Unreachable ──────────────────────────────▶ Healthy (warming)
//!    │ bad answers add up                                                         ▲
//!    └───────────────────────────▶ Failing { until } ──── time is up ──▶ Trial ───┘ a good answer
//!                                       ▲                                  │
//!                                       └────────── a bad answer ──────────┘
//! ```

use std::time::Duration;

/// What adds up to [`FAULTS_LIMIT`] without a good answer in between gets an endpoint ejected: three exchanges that
/// broke, or five answers of a gateway, or five requests that waited in vain.
const FAULTS_LIMIT: u32 = 15;
/// The weight of a connection that broke before the answer's head.
const BROKEN: u32 = 5;
/// The weight of a 502, 503 or 504, and of no answer in time.
const IN_VAIN: u32 = 3;

/// How long the first ejection lasts; each that follows soon lasts twice as long.
pub(super) const FIRST_EJECTION: Duration = Duration::from_secs(1);
/// How long an ejection lasts at most.
pub(super) const LONGEST_EJECTION: Duration = Duration::from_secs(30);
/// Who was back for so long begins with [`FIRST_EJECTION`] again.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);

/// How an attempt at an endpoint ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An answer that is no gateway's.
    Answered,
    /// 502, 503 or 504: the endpoint speaks, but not for itself.
    Gateway,
    /// The connection broke before the answer's head.
    Broken,
    /// Nothing was said until nobody wanted to know any more.
    Silent,
    /// No connection, or none that both sides trust.
    Unreachable,
}

/// What an endpoint is good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// Requests.
    #[default]
    Healthy,
    /// Nothing before `until`.
    Failing {
        /// When the next trial may be.
        until: Duration,
    },
    /// One request is on its way to find out.
    Trial,
    /// Nothing: nobody is there. Attempts to connect say when somebody is.
    Unreachable,
}

/// What is remembered of one endpoint. Times are since one common beginning.
#[derive(Debug, Default)]
pub(super) struct Health {
    standing: Standing,
    faults: u32,
    ejections: u32,
    back_since: Duration,
}

impl Health {
    /// What the endpoint is good for.
    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    /// Whether there is nothing that a good answer would make better.
    pub(super) fn is_clean(&self) -> bool {
        self.standing == Standing::Healthy && self.faults == 0
    }

    /// Takes notice of how an attempt ended. `may_eject` says whether one more endpoint may be ejected for bad answers.
    pub(super) fn note(&mut self, outcome: Outcome, now: Duration, may_eject: bool) {
        match (outcome, self.standing) {
            (Outcome::Unreachable, _) => self.standing = Standing::Unreachable,
            // The answer to what was sent before says nothing about today.
            (_, Standing::Unreachable | Standing::Failing { .. }) => {}
            (Outcome::Answered, Standing::Healthy) => self.faults = 0,
            (Outcome::Answered, Standing::Trial) => self.come_back(now),
            (_, Standing::Trial) => self.eject(now),
            (fault, Standing::Healthy) => {
                let weight = if fault == Outcome::Broken { BROKEN } else { IN_VAIN };
                self.faults = (self.faults + weight).min(FAULTS_LIMIT);
                if self.faults >= FAULTS_LIMIT && may_eject {
                    self.forgive(now);
                    self.eject(now);
                }
            }
        }
    }

    /// A connection was made.
    pub(super) fn reached(&mut self, now: Duration) {
        if self.standing == Standing::Unreachable {
            self.come_back(now);
        }
    }

    /// Whether the next request is the trial; it is then the only one.
    pub(super) fn begin_trial(&mut self, now: Duration) -> bool {
        let due = matches!(self.standing, Standing::Failing { until } if until <= now);
        if due {
            self.standing = Standing::Trial;
        }
        due
    }

    /// The trial found nothing out: its client went away. The next request may try.
    pub(super) fn give_up_trial(&mut self, now: Duration) {
        if self.standing == Standing::Trial {
            self.standing = Standing::Failing { until: now };
        }
    }

    fn forgive(&mut self, now: Duration) {
        if now.saturating_sub(self.back_since) >= FORGIVEN_AFTER {
            self.ejections = 0;
        }
    }

    fn eject(&mut self, now: Duration) {
        let lasts = FIRST_EJECTION.saturating_mul(1 << self.ejections.min(8)).min(LONGEST_EJECTION);
        self.ejections = self.ejections.saturating_add(1);
        self.standing = Standing::Failing { until: now + lasts };
    }

    fn come_back(&mut self, now: Duration) {
        *self = Self { ejections: self.ejections, back_since: now, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn told(outcomes: &[Outcome]) -> Health {
        let mut health = Health::default();
        outcomes.iter().for_each(|outcome| health.note(*outcome, at(100), true));
        health
    }

    #[test]
    fn only_what_adds_up_without_a_good_answer_ejects() {
        use Outcome::{Answered, Broken, Gateway, Silent, Unreachable};
        let ejected = Standing::Failing { until: at(101) };
        let cases: [(&[Outcome], Standing); 9] = [
            (&[], Standing::Healthy),
            (&[Unreachable], Standing::Unreachable),
            (&[Broken, Broken], Standing::Healthy),
            (&[Broken, Broken, Broken], ejected),
            (&[Broken, Broken, Answered, Broken], Standing::Healthy),
            (&[Gateway; 4], Standing::Healthy),
            (&[Gateway; 5], ejected),
            (&[Silent; 5], ejected),
            (&[Gateway, Silent, Broken, Gateway, Gateway], ejected),
        ];
        for (outcomes, expected) in cases {
            assert_eq!(told(outcomes).standing(), expected, "{outcomes:?}");
        }
    }

    #[test]
    fn who_may_not_be_ejected_stays_and_is_ejected_once_it_may() {
        let mut health = Health::default();
        (0..100).for_each(|_| health.note(Outcome::Broken, at(1), false));
        assert_eq!(health.standing(), Standing::Healthy);
        health.note(Outcome::Broken, at(2), true);
        assert_eq!(health.standing(), Standing::Failing { until: at(3) });
    }

    #[test]
    fn a_trial_comes_when_the_time_is_up_and_is_one_request() {
        let mut health = told(&[Outcome::Broken; 3]);
        assert!(!health.begin_trial(at(100)));
        assert!(health.begin_trial(at(101)));
        assert!(!health.begin_trial(at(101)), "there is one already");
        health.give_up_trial(at(102));
        assert!(health.begin_trial(at(102)));
        health.note(Outcome::Answered, at(103), true);
        assert!(health.is_clean());
    }

    #[test]
    fn ejections_that_follow_soon_last_twice_as_long_up_to_a_bound() {
        let mut health = told(&[Outcome::Broken; 3]);
        let (mut now, mut lasted) = (at(100), Vec::new());
        while let Standing::Failing { until } = health.standing()
            && lasted.len() < 12
        {
            lasted.push((until - now).as_secs());
            now = until;
            assert!(health.begin_trial(now));
            health.note(Outcome::Gateway, now, false);
        }
        assert_eq!(lasted, [1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30, 30]);
        let long_ago = now + at(30);
        assert!(health.begin_trial(long_ago));
        health.note(Outcome::Answered, long_ago, true);
        let later = long_ago + FORGIVEN_AFTER;
        (0..3).for_each(|_| health.note(Outcome::Broken, later, true));
        assert_eq!(health.standing(), Standing::Failing { until: later + FIRST_EJECTION });
    }

    #[test]
    fn what_cannot_be_reached_comes_back_by_a_connection_alone() {
        let mut health = told(&[Outcome::Unreachable, Outcome::Answered, Outcome::Broken]);
        assert_eq!(health.standing(), Standing::Unreachable);
        assert!(!health.begin_trial(at(1000)));
        health.reached(at(1000));
        assert!(health.is_clean());
    }
}
