//! The admission chain: what may change or refuse a write once it is known who writes what, and what is stored now.

use async_trait::async_trait;
use detectviz_api::options::{DeleteOptions, WriteOptions};
use detectviz_api::{Identity, RequestInfo, Status, meta};
use serde_json::Value;
use std::sync::Arc;

/// What kind of write is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A new object.
    Create,
    /// A changed object, by update or any patch, on the object or a subresource.
    Update,
    /// A deletion.
    Delete,
}

/// The options of a write, as the client gave them.
#[derive(Clone, Copy, Debug)]
pub enum Options<'a> {
    /// Of a create, an update or a patch.
    Write(&'a WriteOptions),
    /// Of a deletion.
    Delete(&'a DeleteOptions),
}

impl Options<'_> {
    /// Whether nothing will be stored.
    pub fn is_dry_run(&self) -> bool {
        match self {
            Self::Write(options) => options.dry_run,
            Self::Delete(options) => options.is_dry_run(),
        }
    }
}

/// One write on its way to the store.
pub struct Attributes<'a> {
    /// What is asked; the same value that was authorized.
    pub info: &'a RequestInfo,
    /// Who asks.
    pub identity: &'a Identity,
    /// What kind of write it is. An apply that makes its object is a create.
    pub operation: Operation,
    /// What will be stored; null for a deletion. Through `/scale` it is the `Scale`.
    pub object: &'a mut Value,
    /// What is stored now, at the very revision that the write replaces; `None` for a create.
    pub old: Option<&'a Value>,
    /// How the client wants it done.
    pub options: Options<'a>,
}

impl Attributes<'_> {
    /// Whether nothing will be stored.
    pub fn is_dry_run(&self) -> bool {
        self.options.is_dry_run()
    }

    /// The object's name: of the path, or, where that names a collection, of the object; empty while none is generated.
    pub fn name(&self) -> &str {
        match self.info.resource.as_ref().map_or("", |resource| resource.name.as_str()) {
            "" => meta::name(self.old.unwrap_or(self.object)),
            name => name,
        }
    }
}

/// One plugin of the chain.
#[async_trait]
pub trait Admission: Send + Sync {
    /// Whether [`Self::mutate`] may change objects. What was changed is pruned, defaulted and checked again.
    fn mutates(&self) -> bool {
        true
    }

    /// Changes the object, or refuses the write.
    ///
    /// # Errors
    /// The refusal.
    async fn mutate(&self, attributes: &mut Attributes<'_>) -> Result<(), Status> {
        let _ = attributes;
        Ok(())
    }

    /// Refuses the write, or not; the object is final.
    ///
    /// # Errors
    /// The refusal.
    async fn validate(&self, attributes: &Attributes<'_>) -> Result<(), Status> {
        let _ = attributes;
        Ok(())
    }

    /// Looks again once a new object is stored, at `revision`: what was checked may have changed while it was written.
    /// A refusal takes the object back.
    ///
    /// # Errors
    /// The refusal.
    async fn created(&self, attributes: &Attributes<'_>, revision: u64) -> Result<(), Status> {
        let _ = (attributes, revision);
        Ok(())
    }
}

/// All plugins in order: every mutation comes before every validation.
#[derive(Clone, Default)]
pub struct AdmissionChain(Vec<Arc<dyn Admission>>);

impl AdmissionChain {
    /// The chain of `plugins`.
    pub fn new(plugins: Vec<Arc<dyn Admission>>) -> Self {
        Self(plugins)
    }

    /// Whether any plugin may change objects.
    pub fn mutates(&self) -> bool {
        self.0.iter().any(|plugin| plugin.mutates())
    }

    /// Lets every plugin change the object.
    ///
    /// # Errors
    /// The first refusal.
    pub async fn mutate(&self, attributes: &mut Attributes<'_>) -> Result<(), Status> {
        for plugin in &self.0 {
            plugin.mutate(attributes).await?;
        }
        Ok(())
    }

    /// Asks every plugin.
    ///
    /// # Errors
    /// The first refusal.
    pub async fn validate(&self, attributes: &Attributes<'_>) -> Result<(), Status> {
        for plugin in &self.0 {
            plugin.validate(attributes).await?;
        }
        Ok(())
    }

    /// Tells every plugin of an object that was stored at `revision`.
    ///
    /// # Errors
    /// The first refusal.
    pub async fn created(&self, attributes: &Attributes<'_>, revision: u64) -> Result<(), Status> {
        for plugin in &self.0 {
            plugin.created(attributes, revision).await?;
        }
        Ok(())
    }
}
