//! A served form that is not the stored one: its bytes are derived of the stored ones, and kept for whoever reads the same
//! state again. What is stored as it is served never comes here.

mod derived;
mod renames;

use bytes::Bytes;
use detectviz_api::Status;
use detectviz_api::definition::{Definition, StoredForm, Version};
use detectviz_storage::cache::{Object, ObjectError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) use self::derived::{BUDGET, Derived};
use self::renames::Renames;

/// Why an object has no bytes in another form.
#[derive(Debug, thiserror::Error)]
pub enum ConversionError {
    /// What is to be converted is no JSON object.
    #[error("convert object: {0}")]
    Json(#[from] serde_json::Error),
    /// What the conversion made is no object.
    #[error("convert object: {0}")]
    Object(#[from] ObjectError),
}

impl From<ConversionError> for Status {
    fn from(fault: ConversionError) -> Self {
        Self::internal(fault)
    }
}

/// Why a definition cannot be served in a form that it is not stored in.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Mistake {
    /// A name that nobody could send.
    #[error("x-detectviz.convert.renames: {0:?} is no property of the schema")]
    Unknown(String),
    /// Two served fields would be one.
    #[error("x-detectviz.convert.renames: two fields are stored as {0:?}; each must have a name of its own")]
    Twice(String),
    /// Renames without another form.
    #[error("x-detectviz.convert: there is nothing to convert without x-detectviz.storage")]
    Nothing,
    /// No version at all is stored.
    #[error("no version is stored; exactly one must be")]
    NotStored,
}

/// Turns the stored form of objects into a served one, and back. Both forms have the same metadata.
pub trait Converter: Send + Sync {
    /// The served form of stored bytes.
    ///
    /// # Errors
    /// Why there is none.
    fn to_served(&self, stored: &[u8]) -> Result<Bytes, ConversionError>;

    /// The stored form of served bytes: what [`Self::to_served`] makes the same of.
    ///
    /// # Errors
    /// Why there is none.
    fn to_stored(&self, served: &[u8]) -> Result<Bytes, ConversionError>;
}

/// The conversion of one resource in one version.
pub(crate) struct Conversion {
    converter: Arc<dyn Converter>,
    derived: Arc<Derived>,
    /// Tells the form from others.
    number: u32,
}

impl Conversion {
    /// The conversion that `version` of `definition`, the form called `number`, needs; `None` if it is stored as it is
    /// served.
    ///
    /// # Errors
    /// What is wrong with the definition.
    pub(crate) fn of(
        definition: &Definition,
        version: &Version,
        number: u32,
        derived: &Arc<Derived>,
    ) -> Result<Option<Self>, Mistake> {
        let extensions = &definition.extensions;
        if extensions.storage.is_none() && extensions.convert.is_some() {
            return Err(Mistake::Nothing);
        }
        let stored = definition.stored_form().ok_or(Mistake::NotStored)?;
        let served = StoredForm {
            group: definition.group.clone(),
            resource: definition.names.plural.clone(),
            version: version.name.clone(),
            kind: definition.names.kind.clone(),
        };
        if served == stored {
            return Ok(None);
        }
        let none = BTreeMap::new();
        let renames = extensions.convert.as_ref().map_or(&none, |convert| &convert.renames);
        check(renames, version)?;
        let converter = Arc::new(Renames::new(&served, &stored, renames));
        Ok(Some(Self { converter, derived: Arc::clone(derived), number }))
    }

    /// The object as it is served.
    pub(crate) fn served(&self, object: &Object) -> Result<Object, ConversionError> {
        self.derived.get(self.number, object, |stored| self.converter.to_served(stored))
    }

    /// Stored bytes as they are served.
    pub(crate) fn to_served(&self, stored: &[u8]) -> Result<Bytes, ConversionError> {
        self.converter.to_served(stored)
    }

    /// Served bytes as they are stored.
    pub(crate) fn to_stored(&self, served: &[u8]) -> Result<Bytes, ConversionError> {
        self.converter.to_stored(served)
    }
}

/// Renames must lead back to where they came from.
fn check(renames: &BTreeMap<String, String>, version: &Version) -> Result<(), Mistake> {
    let properties = &version.schema.open_api_v3_schema.properties;
    if let Some(served) = renames.keys().find(|served| !properties.contains_key(*served)) {
        return Err(Mistake::Unknown(served.clone()));
    }
    let mut taken: BTreeSet<&String> =
        properties.keys().filter(|name| !renames.contains_key(*name)).collect();
    match renames.values().find(|stored| !taken.insert(stored)) {
        Some(stored) => Err(Mistake::Twice(stored.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn definition(extensions: &Value) -> Definition {
        let version = |name: &str, storage: bool| {
            let properties = json!({"a": {"type": "string"}, "b": {"type": "string"}});
            json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": {"properties": properties}}})
        };
        serde_json::from_value(json!({
            "group": "example.org", "scope": "Cluster",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
            "versions": [version("v2", false), version("v1", true)], "x-detectviz": extensions,
        }))
        .unwrap()
    }

    fn conversion(extensions: &Value, version: usize) -> Result<Option<Conversion>, Mistake> {
        let definition = definition(extensions);
        Conversion::of(&definition, &definition.versions[version], 0, &Arc::new(Derived::new(BUDGET)))
    }

    #[test]
    fn a_version_that_is_not_stored_differs_in_what_it_is_called() {
        assert!(conversion(&json!({}), 1).unwrap().is_none(), "what is stored is served as it is");
        let conversion = conversion(&json!({}), 0).unwrap().unwrap();
        let stored = br#"{"a":"x","apiVersion":"example.org/v1","kind":"Thing","metadata":{"name":"n"}}"#;
        let served = conversion.to_served(stored).unwrap();
        assert_eq!(served, String::from_utf8_lossy(stored).replace("/v1", "/v2"));
        assert_eq!(conversion.to_stored(&served).unwrap(), stored.as_slice());
    }

    #[test]
    fn what_cannot_be_led_back_is_refused() {
        let storage = json!({"group": "", "resource": "olds", "version": "v1", "kind": "Old"});
        let renamed = |renames: Value| json!({"storage": storage, "convert": {"renames": renames}});
        for (extensions, mistake) in [
            (renamed(json!({"a": "x"})), None),
            (renamed(json!({"a": "b", "b": "a"})), None),
            (renamed(json!({"a": "b"})), Some(Mistake::Twice("b".to_owned()))),
            (renamed(json!({"a": "x", "b": "x"})), Some(Mistake::Twice("x".to_owned()))),
            (renamed(json!({"c": "x"})), Some(Mistake::Unknown("c".to_owned()))),
            (json!({"convert": {"renames": {"a": "x"}}}), Some(Mistake::Nothing)),
        ] {
            assert_eq!(conversion(&extensions, 1).err(), mistake, "{extensions}");
        }
    }
}
