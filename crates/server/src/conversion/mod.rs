//! A served form that is not the stored one: its bytes are derived of the stored ones, and kept for whoever reads the same
//! state again. What is stored as it is served never comes here.

mod derived;
mod renames;

use bytes::Bytes;
use detectviz_api::Status;
use detectviz_api::definition::{Definition, StoredForm, Version};
use detectviz_storage::cache::{Object, ObjectError};
use std::collections::BTreeMap;
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
    pub(crate) fn of(
        definition: &Definition,
        version: &Version,
        number: u32,
        derived: &Arc<Derived>,
    ) -> Option<Self> {
        let stored = definition.stored_form()?;
        let served = StoredForm {
            group: definition.group.clone(),
            resource: definition.names.plural.clone(),
            version: version.name.clone(),
            kind: definition.names.kind.clone(),
        };
        if served == stored {
            return None;
        }
        let none = BTreeMap::new();
        let renames = definition.extensions.convert.as_ref().map_or(&none, |convert| &convert.renames);
        let converter = Renames::new(&served, &stored, renames);
        Some(Self { converter: Arc::new(converter), derived: Arc::clone(derived), number })
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
