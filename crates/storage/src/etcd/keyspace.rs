//! Where keys of the store are in etcd: a key is only prefixed, so that etcd's order is the store's.

/// The keys below one prefix.
pub(super) struct Keyspace {
    root: String,
    data: String,
    meta: String,
}

impl Keyspace {
    pub(super) fn new(prefix: &str) -> Self {
        Self { root: format!("{prefix}/"), data: format!("{prefix}/data"), meta: format!("{prefix}/meta/") }
    }

    /// Everything that servers write, as the first key and the first one past it.
    pub(super) fn all(&self) -> (Vec<u8>, Vec<u8>) {
        (self.root.clone().into(), end(self.root.as_bytes()))
    }

    /// A key of the store, or what several begin with.
    pub(super) fn data(&self, key: &str) -> Vec<u8> {
        [self.data.as_bytes(), key.as_bytes()].concat()
    }

    /// A key of the servers themselves.
    pub(super) fn meta(&self, name: &str) -> Vec<u8> {
        [self.meta.as_bytes(), name.as_bytes()].concat()
    }

    /// The store's key of a key in etcd; `None` for what is no key of the store.
    pub(super) fn key_of<'a>(&self, key: &'a [u8]) -> Option<&'a str> {
        std::str::from_utf8(key.strip_prefix(self.data.as_bytes())?).ok()
    }
}

/// The first key past all that begin with `prefix`.
pub(super) fn end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // What etcd takes for "to the last key".
    vec![0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_store_are_told_from_others() {
        let keyspace = Keyspace::new("/detectviz");
        assert_eq!(keyspace.key_of(&keyspace.data("/registry/a")), Some("/registry/a"));
        for other in [keyspace.meta("pki"), b"/detectviz2/data/a".to_vec(), b"/detectviz/data\xff".to_vec()] {
            assert_eq!(keyspace.key_of(&other), None);
        }
    }

    #[test]
    fn a_prefix_ends_before_the_next_one() {
        assert_eq!(end(b"/a/"), b"/a0");
        assert_eq!(end(b"a\xff"), b"b");
        assert_eq!(end(b"\xff"), b"\0");
    }
}
