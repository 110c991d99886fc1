//! The kinds that bodies and patches are tried on: a built-in one, and a user's whose schema says all that one can.

use std::sync::LazyLock;

use detectviz_controlplane::definitions;
use detectviz_schema::{Compiled, CompiledVersion, Fragments};

/// A kind, and an object of it as it is stored.
pub(crate) struct Subject {
    pub(crate) version: CompiledVersion,
    pub(crate) stored: &'static str,
}

/// The kinds.
pub(crate) static SUBJECTS: LazyLock<[Subject; 2]> = LazyLock::new(|| [event(), widget()]);

fn event() -> Subject {
    let fragments = definitions::fragments().expect("the fragments are part of the source");
    let groups = definitions::groups().expect("the definitions are part of the source");
    let core = groups.iter().find(|group| group.group.is_empty()).expect("there is a core group");
    let definition = core.definitions.iter().find(|definition| definition.names.kind == "Event");
    let definition = definition.expect("there are events").as_ref().clone();
    Subject {
        version: Compiled::built_in(definition, &fragments).expect("it compiles").storage().clone(),
        stored: r#"{"apiVersion":"v1","kind":"Event","metadata":{"name":"a","namespace":"b","uid":"u",
            "labels":{"k":"v"},"finalizers":["x.io/a","x.io/b"],"ownerReferences":[{"apiVersion":"v1","kind":"K",
            "name":"n","uid":"1"},{"apiVersion":"v1","kind":"K","name":"m","uid":"2"}]},
            "involvedObject":{"kind":"K","name":"n"},"reason":"R","count":1,"source":{"component":"c"}}"#,
    }
}

fn widget() -> Subject {
    let definition = serde_json::from_str(include_str!("widget.json")).expect("the file is a definition");
    Subject {
        version: Compiled::new(definition, &Fragments::new()).expect("it compiles").storage().clone(),
        stored: r#"{"apiVersion":"example.org/v1","kind":"Widget","metadata":{"name":"a"},"spec":{"size":3,
            "names":["a","b"],"ports":[{"port":80,"protocol":"TCP"},{"port":80,"protocol":"UDP","tags":["x"]}],
            "free":{"a":{"b":[1,2,{"c":null}]},"known":{"n":"d"}},"map":{"k":1}}}"#,
    }
}
