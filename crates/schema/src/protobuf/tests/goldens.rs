//! Objects as another encoder wrote them, whose numbers are upstream's messages' and not our definitions': `tests/protobuf`
//! holds each as the body of a request, and as the JSON that stands for it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::{Compiled, CompiledVersion};

fn goldens() -> BTreeMap<String, (Vec<u8>, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/protobuf");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let bodies = files.filter(|path| path.extension().unwrap() == "pb");
    bodies
        .map(|path| {
            let json = std::fs::read_to_string(path.with_extension("json")).unwrap();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, (std::fs::read(path).unwrap(), serde_json::from_str(&json).unwrap()))
        })
        .collect()
}

/// All versions of the built-in kinds that have protobuf, by `apiVersion` and kind.
fn versions() -> BTreeMap<(String, String), CompiledVersion> {
    let fragments = fixture::fragments();
    let mut versions = BTreeMap::new();
    for definition in fixture::definitions().into_values().filter(|one| one.extensions.protobuf) {
        let compiled = Compiled::built_in(definition.clone(), &fragments).unwrap();
        for version in compiled.versions() {
            let group_version = detectviz_api::GroupVersion::new(&*definition.group, &*version.name);
            versions.insert((group_version.to_string(), definition.names.kind.clone()), version.clone());
        }
    }
    versions
}

#[test]
fn what_another_encoder_wrote_is_read() {
    let versions = versions();
    for (file, (body, wanted)) in goldens() {
        let envelope = decode_envelope(&body).unwrap();
        let object = match (envelope.api_version, envelope.kind) {
            ("v1", "DeleteOptions") => delete_options_from_protobuf(envelope.raw),
            (version, kind) => versions[&(version.to_owned(), kind.to_owned())].from_protobuf(envelope.raw),
        };
        let mut object = object.unwrap_or_else(|fault| panic!("{file}: {fault}"));
        object["apiVersion"] = envelope.api_version.into();
        object["kind"] = envelope.kind.into();
        assert_eq!(object, wanted, "{file}");
    }
}

#[test]
fn every_kind_that_has_protobuf_has_a_golden_body() {
    let goldens = goldens();
    let there: Vec<_> =
        goldens.values().map(|(_, object)| (&object["apiVersion"], &object["kind"])).collect();
    for (version, kind) in versions().into_keys() {
        let found = there.iter().any(|(api, of)| **api == *version && **of == *kind);
        assert!(found, "tests/protobuf has no {kind} of {version}");
    }
}
