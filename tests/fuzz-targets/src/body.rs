//! Bodies: what is read is named where it stands twice, and what is admitted stays as it is when it is admitted again.

use detectviz_api::meta;
use detectviz_schema::decode::MAX_REPORTED;
use detectviz_schema::{Admitted, Decoded, Limits, decode_json, decode_yaml};
use serde_json::Value;

use crate::subjects::SUBJECTS;

/// The most bytes of one fault or path.
const MAX_TOLD: usize = 16 * 1024;
/// Few enough that a fuzzer can reach it.
const LIMITS: Limits = Limits { max_values: 2000 };

/// A body of JSON.
pub(crate) fn json_body(data: &[u8]) {
    match decode_json(data, LIMITS) {
        Ok(decoded) => {
            let plain = serde_json::from_slice::<Value>(data).expect("what is read is JSON");
            assert_eq!(plain, decoded.value);
            read(&decoded);
        }
        Err(fault) => assert!(fault.to_string().len() < MAX_TOLD, "{fault}"),
    }
}

/// A body of YAML.
pub(crate) fn yaml_body(data: &[u8]) {
    match decode_yaml(data, LIMITS) {
        Ok(decoded) => read(&decoded),
        Err(fault) => assert!(fault.to_string().len() < MAX_TOLD, "{fault}"),
    }
}

fn read(decoded: &Decoded) {
    assert!(meta::depth(&decoded.value) < 128);
    assert!(decoded.duplicates.len() <= MAX_REPORTED);
    // What is written out and read again is the same, and has nothing twice.
    let written = decoded.value.to_string();
    let again = decode_json(written.as_bytes(), Limits::default()).expect("what is written can be read");
    assert_eq!((&again.value, again.duplicates.len()), (&decoded.value, 0));
    for subject in SUBJECTS.iter() {
        admitted(&subject.version, decoded.value.clone());
    }
}

/// Admits `object`, twice.
pub(crate) fn admitted(version: &detectviz_schema::CompiledVersion, mut object: Value) {
    let first = version.admit(&mut object);
    bounded(&first);
    let once = object.clone();
    let second = version.admit(&mut object);
    assert_eq!(object, once, "admitting again changes what was admitted");
    assert!(second.unknown.is_empty(), "{:?} was pruned before", second.unknown);
    assert_eq!((second.causes, second.mistyped), (first.causes, first.mistyped));
    let subject = meta::Subject {
        namespaced: true,
        name_rule: detectviz_api::definition::NameRule::DnsSubdomain,
        built_in: version.is_built_in(),
    };
    let causes = meta::faults(&object, subject);
    bounded(&Admitted { causes, ..Admitted::default() });
}

fn bounded(admitted: &Admitted) {
    assert!(admitted.causes.len() <= MAX_REPORTED && admitted.unknown.len() <= MAX_REPORTED);
    let texts = admitted.causes.iter().flat_map(|cause| [&cause.message, &cause.field]);
    for text in texts.chain(&admitted.unknown).chain(&admitted.mistyped) {
        assert!(text.len() < MAX_TOLD, "{} bytes are told", text.len());
    }
}
