//! Derived forms that were made, within one budget of bytes over all resources. What was not asked for in a while goes
//! first: the kept forms are two generations, and when the younger has half of the budget the older is let go.

use bytes::Bytes;
use detectviz_storage::cache::Object;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::ConversionError;

/// The bytes of all derived forms that are kept, with the stored ones that they were made of.
pub(crate) const BUDGET: usize = 16 << 20;
/// What a kept form costs besides its bytes, about.
const ENTRY: usize = 256;

/// A form, and where the stored bytes are.
type Key = (u32, usize);

/// The kept forms.
pub(crate) struct Derived {
    budget: usize,
    kept: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Key, Kept>,
    old: HashMap<Key, Kept>,
    /// Bytes of the young ones.
    bytes: usize,
}

struct Kept {
    /// What the form was made of. Held, so that nothing else can come to be at its place.
    stored: Bytes,
    served: Object,
}

impl Derived {
    pub(crate) fn new(budget: usize) -> Self {
        Self { budget, kept: Mutex::default() }
    }

    /// The object in the form called `form`, which `convert` makes of its stored bytes unless it was made before.
    pub(super) fn get(
        &self,
        form: u32,
        object: &Object,
        convert: impl FnOnce(&[u8]) -> Result<Bytes, ConversionError>,
    ) -> Result<Object, ConversionError> {
        let stored = object.stored();
        let key = (form, stored.as_ptr().addr());
        let found = self.lock().find(key, stored, self.budget);
        // The same bytes are served with another revision when their object leaves a selection or is deleted.
        if let Some(served) = found {
            return Ok(served.with_revision(object.revision));
        }
        let served = object.in_form(convert(stored)?)?;
        self.lock().add(key, Kept { stored: stored.clone(), served: served.clone() }, self.budget);
        Ok(served)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Generations> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn find(&mut self, key: Key, stored: &Bytes, budget: usize) -> Option<Object> {
        if let Some(kept) = self.young.get(&key).filter(|kept| kept.stored.len() == stored.len()) {
            return Some(kept.served.clone());
        }
        let kept = self.old.remove(&key).filter(|kept| kept.stored.len() == stored.len())?;
        let served = kept.served.clone();
        self.add(key, kept, budget);
        Some(served)
    }

    fn add(&mut self, key: Key, kept: Kept, budget: usize) {
        self.bytes += kept.bytes();
        if let Some(before) = self.young.insert(key, kept) {
            self.bytes -= before.bytes();
        }
        if self.bytes > budget / 2 {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
    }
}

impl Kept {
    fn bytes(&self) -> usize {
        self.stored.len() + self.served.stored().len() + ENTRY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn object(name: &str, revision: u64) -> Object {
        let stored = format!(r#"{{"metadata":{{"name":"{name}"}}}}"#);
        Object::parse(name.into(), stored.into(), revision, 1).unwrap()
    }

    /// Converts by adding a field, and counts how often.
    fn get(derived: &Derived, form: u32, object: &Object, made: &Cell<u32>) -> String {
        let convert = |stored: &[u8]| {
            made.set(made.get() + 1);
            let text = String::from_utf8(stored.to_vec()).unwrap();
            Ok(text.replacen('{', &format!(r#"{{"form":{form},"#), 1).into())
        };
        let served = derived.get(form, object, convert).unwrap();
        assert_eq!(served.meta, object.meta);
        String::from_utf8(served.json().to_vec()).unwrap()
    }

    #[test]
    fn a_form_is_made_once_a_state_and_served_with_its_revision() {
        let (derived, made) = (Derived::new(1 << 20), Cell::new(0));
        let first = object("a", 7);
        for (form, object, text, count) in [
            (1, first.clone(), r#"{"form":1,"metadata":{"resourceVersion":"7","name":"a"}}"#, 1),
            (1, first.clone(), r#"{"form":1,"metadata":{"resourceVersion":"7","name":"a"}}"#, 1),
            (1, first.with_revision(9), r#"{"form":1,"metadata":{"resourceVersion":"9","name":"a"}}"#, 1),
            (2, first, r#"{"form":2,"metadata":{"resourceVersion":"7","name":"a"}}"#, 2),
            (1, object("a", 8), r#"{"form":1,"metadata":{"resourceVersion":"8","name":"a"}}"#, 3),
        ] {
            assert_eq!((get(&derived, form, &object, &made).as_str(), made.get()), (text, count));
        }
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes_within_the_budget() {
        let (derived, made) = (Derived::new(64 * 1024), Cell::new(0));
        let favourite = object("favourite", 1);
        let others: Vec<Object> = (0..10_000).map(|number| object(&format!("o{number}"), 1)).collect();
        for other in &others {
            get(&derived, 1, &favourite, &made);
            get(&derived, 1, other, &made);
        }
        assert_eq!(made.get(), 10_001, "the favourite was made once");
        let kept = derived.lock();
        let bytes: usize = kept.young.values().chain(kept.old.values()).map(Kept::bytes).sum();
        assert!(bytes <= 65 * 1024 && kept.young.len() + kept.old.len() > 10, "{bytes}");
    }
}
