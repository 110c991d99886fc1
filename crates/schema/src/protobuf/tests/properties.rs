//! What must hold for every object of every schema.

use proptest::prelude::*;

use super::encode::Style;
use super::random::Random;
use super::*;
use crate::{Compiled, CompiledVersion};

fn style() -> impl Strategy<Value = Style> {
    any::<[bool; 4]>().prop_map(|[packed, backwards, split, zeros]| Style { packed, backwards, split, zeros })
}

/// A version with a field of each type, and those of all built-in kinds that have protobuf.
fn versions() -> Vec<CompiledVersion> {
    let fragments = fixture::fragments();
    let built_in = fixture::definitions().into_values().filter(|definition| definition.extensions.protobuf);
    let compiled = built_in.map(|definition| Compiled::built_in(definition, &fragments).unwrap());
    let built_in: Vec<_> = compiled.flat_map(|compiled| compiled.versions().to_vec()).collect();
    assert!(built_in.len() > 5, "the built-in definitions are read");
    [fixture::version(&properties())].into_iter().chain(built_in).collect()
}

#[test]
fn what_is_encoded_in_any_way_is_read_back() {
    let versions = versions();
    proptest!(|(seed in any::<u64>(), style in style())| {
        for version in &versions {
            let object = Random(seed).object(&version.root);
            let read = version.from_protobuf(&style.message(&version.root, &object));
            prop_assert_eq!(read.map_err(|fault| fault.to_string()), Ok(object));
        }
    });
}

#[test]
fn a_damaged_message_is_read_or_refused() {
    let versions = versions();
    proptest!(|(seed in any::<u64>(), at in any::<prop::sample::Index>(), byte in any::<u8>())| {
        let version = &versions[(seed % versions.len() as u64) as usize];
        let mut message = Style::default().message(&version.root, &Random(seed).object(&version.root));
        message.push(0);
        let at = at.index(message.len());
        message[at] = byte;
        let _ = (version.from_protobuf(&message), version.from_protobuf(&message[..at]));
    });
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = (decode_envelope(&bytes), decode(&bytes), delete_options_from_protobuf(&bytes));
    }
}
