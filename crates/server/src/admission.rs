//! The admission chain: what may change or refuse a write once it is known who writes what, and what is stored now.

use async_trait::async_trait;
use detectviz_api::{Identity, RequestInfo, Status};
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

/// One write on its way to the store.
pub struct Attributes<'a> {
    /// What is asked; the same value that was authorized.
    pub info: &'a RequestInfo,
    /// Who asks.
    pub identity: &'a Identity,
    /// What kind of write it is.
    pub operation: Operation,
    /// What will be stored; null for a deletion.
    pub object: &'a mut Value,
    /// What is stored now; `None` for a create.
    pub old: Option<&'a Value>,
    /// Whether nothing will be stored.
    pub dry_run: bool,
}

/// One plugin of the chain.
#[async_trait]
pub trait Admission: Send + Sync {
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
}

/// All plugins in order: every mutation comes before every validation.
#[derive(Clone, Default)]
pub struct AdmissionChain(Vec<Arc<dyn Admission>>);

impl AdmissionChain {
    /// The chain of `plugins`.
    pub fn new(plugins: Vec<Arc<dyn Admission>>) -> Self {
        Self(plugins)
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
}
