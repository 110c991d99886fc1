//! What is made of the same input is made once, as long as anybody uses it: a thousand backends behind one CA read its
//! bundle once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

pub(super) struct Cache<K, V>(Mutex<Option<HashMap<K, Weak<V>>>>);

impl<K: Eq + Hash, V> Cache<K, V> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// What is in use under the key, or what `make` makes. The key must say everything that `make` depends on.
    pub(super) fn get<E>(&self, key: K, make: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, E> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_default();
        if let Some(have) = known.get(&key).and_then(Weak::upgrade) {
            return Ok(have);
        }
        let made = Arc::new(make()?);
        known.retain(|_, value| value.strong_count() > 0);
        known.insert(key, Arc::downgrade(&made));
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_is_made_once() {
        let cache = Cache::<u8, String>::new();
        let make = |text: &'static str| move || Ok::<_, ()>(text.to_owned());
        let first = cache.get(1, make("a")).unwrap();
        assert!(Arc::ptr_eq(&first, &cache.get(1, make("b")).unwrap()));
        assert_eq!(*cache.get(2, make("c")).unwrap(), "c");
        drop(first);
        assert_eq!(*cache.get(1, make("d")).unwrap(), "d");
        assert_eq!(cache.get(3, || Err("e")), Err("e"));
    }
}
