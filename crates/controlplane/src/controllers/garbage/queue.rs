//! What is to be looked at: each task once, however often it is asked for, and again later when it failed.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The first wait of a task that failed, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(60));

/// The tasks. No task is worked on twice at a time.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    wake: Notify,
}

struct State<T> {
    ready: VecDeque<T>,
    /// What is in `ready`.
    queued: HashSet<T>,
    running: HashSet<T>,
    /// What was asked for while it ran.
    again: HashSet<T>,
    later: BTreeSet<(Instant, T)>,
    /// When each task of `later` is due: it waits there once.
    due: HashMap<T, Instant>,
    failures: HashMap<T, u32>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        let (ready, queued, running, again) = Default::default();
        let (later, due, failures) = Default::default();
        Self {
            state: Mutex::new(State { ready, queued, running, again, later, due, failures }),
            wake: Notify::new(),
        }
    }
}

impl<T: Copy + Eq + Hash + Ord> Queue<T> {
    /// Asks for `task`.
    pub(super) fn add(&self, task: T) {
        self.lock().add(task);
        self.wake.notify_one();
    }

    /// Asks for `task` after a while.
    pub(super) fn add_after(&self, task: T, wait: Duration) {
        self.lock().add_at(task, Instant::now() + wait);
        self.wake.notify_one();
    }

    /// The next task; [`Self::done`] has to be told of it.
    pub(super) async fn next(&self) -> T {
        loop {
            let changed = self.wake.notified();
            let due = {
                let mut state = self.lock();
                state.ripen(Instant::now());
                if let Some(task) = state.take() {
                    // Another worker may have slept through what ripened with it.
                    if !state.ready.is_empty() {
                        self.wake.notify_one();
                    }
                    return task;
                }
                state.later.first().map(|(at, _)| *at)
            };
            match due {
                Some(at) => {
                    let _ = tokio::time::timeout_at(at, changed).await;
                }
                None => changed.await,
            }
        }
    }

    /// The task was worked on, and has to be again if it `failed`; returns how often in a row it has.
    pub(super) fn done(&self, task: T, failed: bool) -> u32 {
        let mut state = self.lock();
        state.running.remove(&task);
        let failures = match failed {
            true => {
                *state.failures.entry(task).and_modify(|count| *count = count.saturating_add(1)).or_insert(1)
            }
            false => state.failures.remove(&task).map_or(0, |_| 0),
        };
        if state.again.remove(&task) {
            state.add(task);
        } else if failed {
            state.add_at(task, Instant::now() + backoff(failures));
        }
        drop(state);
        self.wake.notify_one();
        failures
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Copy + Eq + Hash + Ord> State<T> {
    fn add(&mut self, task: T) {
        if self.running.contains(&task) {
            self.again.insert(task);
        } else if self.queued.insert(task) {
            self.ready.push_back(task);
        }
    }

    /// Adds the task then, or when it is due anyway if that is sooner.
    fn add_at(&mut self, task: T, at: Instant) {
        if self.due.get(&task).is_some_and(|due| *due <= at) {
            return;
        }
        if let Some(due) = self.due.insert(task, at) {
            self.later.remove(&(due, task));
        }
        self.later.insert((at, task));
    }

    fn ripen(&mut self, now: Instant) {
        while self.later.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, task)) = self.later.pop_first() {
                self.due.remove(&task);
                self.add(task);
            }
        }
    }

    fn take(&mut self) -> Option<T> {
        let task = self.ready.pop_front()?;
        self.queued.remove(&task);
        self.running.insert(task);
        Some(task)
    }
}

/// The wait after so many failures in a row.
fn backoff(failures: u32) -> Duration {
    (BACKOFF.0 * 2_u32.saturating_pow(failures.clamp(1, 16) - 1)).min(BACKOFF.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn a_task_runs_once_at_a_time_and_again_if_it_was_asked_for_meanwhile() {
        let queue = Queue::default();
        queue.add(1);
        queue.add(1);
        assert_eq!(queue.next().await, 1);
        assert_eq!(queue.next().now_or_never(), None, "it was asked for twice, and waits once");
        queue.add(1);
        assert_eq!(queue.next().now_or_never(), None, "it is being worked on");
        assert_eq!(queue.done(1, false), 0);
        assert_eq!(queue.next().await, 1);
        queue.done(1, false);
        assert_eq!(queue.next().now_or_never(), None);
    }

    #[tokio::test]
    async fn a_task_that_keeps_failing_waits_once_however_often_it_is_asked_for() {
        let queue = Queue::default();
        for _ in 0..1000 {
            queue.add(1);
            assert_eq!(queue.next().await, 1);
            queue.done(1, true);
        }
        queue.add_after(1, Duration::ZERO);
        let waiting = |queue: &Queue<i32>| {
            let state = queue.lock();
            (state.later.len(), state.due.len())
        };
        assert_eq!(waiting(&queue), (1, 1));
        assert_eq!(queue.next().await, 1, "the sooner of both times counts");
        assert_eq!(waiting(&queue), (0, 0));
    }

    #[tokio::test]
    async fn a_task_that_failed_comes_again_and_holds_up_no_other() {
        let queue = Queue::default();
        queue.add(1);
        assert_eq!(queue.next().await, 1);
        assert_eq!(queue.done(1, true), 1);
        queue.add(2);
        assert_eq!(queue.next().await, 2);
        assert_eq!(queue.next().await, 1);
        assert_eq!(queue.done(1, true), 2);
        assert_eq!(queue.next().await, 1);
        assert_eq!(queue.done(1, false), 0);
        let waits: Vec<_> = (0..40).map(backoff).collect();
        assert!(waits.is_sorted() && (waits[0], waits[39]) == BACKOFF, "{waits:?}");
    }
}
