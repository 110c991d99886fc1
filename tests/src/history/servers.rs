//! The servers that a load asks: some may be down, and each start of one is a server of its own.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::random::Random;
use crate::http::Client;

/// Any number of servers of one store.
#[derive(Clone, Default)]
pub struct Servers(Arc<(Mutex<Slots>, Condvar)>);

#[derive(Default)]
struct Slots {
    clients: Vec<Option<(usize, Client)>>,
    starts: usize,
}

impl Servers {
    /// Servers that are up.
    pub fn new(clients: impl IntoIterator<Item = Client>) -> Self {
        let servers = Self::default();
        for (slot, client) in clients.into_iter().enumerate() {
            servers.up(slot, client);
        }
        servers
    }

    /// This server is about to go down: nobody begins to ask it.
    pub fn down(&self, slot: usize) {
        self.slots().clients[slot] = None;
    }

    /// This server was started, and is asked by this client.
    pub fn up(&self, slot: usize, client: Client) {
        let mut slots = self.slots();
        slots.starts += 1;
        let start = slots.starts;
        if slots.clients.len() <= slot {
            slots.clients.resize(slot + 1, None);
        }
        slots.clients[slot] = Some((start, client));
        self.0.1.notify_all();
    }

    /// One of the servers that are up, with the number of its start, as soon as there is one; `None` when `ended` says so
    /// before.
    pub(crate) fn pick(&self, random: &mut Random, ended: impl Fn() -> bool) -> Option<(usize, Client)> {
        let mut slots = self.slots();
        loop {
            let up: Vec<_> = slots.clients.iter().flatten().cloned().collect();
            if !up.is_empty() {
                return Some(random.pick(&up).clone());
            }
            if ended() {
                return None;
            }
            let waited = self.0.1.wait_timeout(slots, Duration::from_millis(50));
            slots = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether the server of this start is up.
    pub(crate) fn is_up(&self, start: usize) -> bool {
        self.slots().clients.iter().flatten().any(|(up, _)| *up == start)
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
