//! From a Service's name to addresses: a pure function of what was last seen. The first that says something wins:
//! the annotation of the APIService, an `ExternalName` of `service.grafana.app`, a core Service.

mod endpoints;

use detectviz_api::meta;
use detectviz_client::Address;
use detectviz_core::informer::{Objects, key};
use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::targets;
use crate::error::Unavailable;

/// The label of an `EndpointSlice` that names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The service that an APIService names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) port: i64,
}

/// What references are resolved by: the objects as last seen, and where unix sockets may be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    pub(crate) external_names: Objects,
    pub(crate) services: Objects,
    pub(crate) endpoints: Objects,
    pub(crate) slices: Slices,
    pub(crate) socket_dirs: Arc<[PathBuf]>,
}

/// `EndpointSlices` by the Service that they are of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slices(HashMap<String, Vec<Arc<Value>>>);

impl Slices {
    /// Sorts slices by their Services; what names none is of none.
    pub(crate) fn of(objects: &Objects) -> Self {
        let mut slices: HashMap<_, Vec<_>> = HashMap::new();
        for slice in objects.values() {
            if let Some(service) = slice["metadata"]["labels"][SERVICE_NAME].as_str() {
                slices.entry(key(meta::namespace(slice), service)).or_default().push(Arc::clone(slice));
            }
        }
        Self(slices)
    }
}

impl Reference {
    /// As a key of objects.
    pub(crate) fn key(&self) -> String {
        key(&self.namespace, &self.name)
    }

    /// Whether a Service must say where the backend is, since nothing that comes before it does.
    pub(crate) fn needs_a_service(&self, annotations: &Value, external_names: &Objects) -> bool {
        annotations[targets::ANNOTATION].is_null() && !external_names.contains_key(&self.key())
    }

    /// The addresses that the service stands for, of an APIService with these annotations; never none.
    ///
    /// # Errors
    /// Why there is none, in kube-aggregator's words where it has them.
    pub(crate) fn resolve(
        &self,
        annotations: &Value,
        by: &Surroundings,
    ) -> Result<Vec<Address>, Unavailable> {
        if let Some(text) = annotations[targets::ANNOTATION].as_str() {
            return targets::read(text, &by.socket_dirs).map_err(|why| Unavailable::Targets { why });
        }
        if let Some(external_name) = by.external_names.get(&self.key()) {
            let host = external_name.pointer("/spec/host").and_then(Value::as_str).unwrap_or_default();
            return self.outside(host);
        }
        let service = by.services.get(&self.key()).ok_or_else(|| self.not_found())?;
        let text = |field: &str| service["spec"][field].as_str().unwrap_or_default();
        match text("type") {
            "ExternalName" => self.outside(text("externalName")),
            "ClusterIP" | "NodePort" | "LoadBalancer" | "" => {
                let port = self.service_port(service)?;
                let found = self.endpoints(port, by);
                match text("clusterIP") {
                    "" | "None" => found,
                    // Nobody has to tell this server what is behind an address that somebody gave by hand.
                    ip if !matches!(found, Err(Unavailable::MissingEndpoints { .. })) => {
                        self.at(ip, self.port)
                    }
                    _ => found,
                }
            }
            kind => Err(Unavailable::ServiceType { name: self.name.clone(), kind: kind.to_owned() }),
        }
    }

    /// One host that somebody named, at the port that the APIService names.
    fn outside(&self, host: &str) -> Result<Vec<Address>, Unavailable> {
        if host.is_empty() {
            return Err(self.not_found());
        }
        self.at(host, self.port)
    }

    fn at(&self, host: &str, port: i64) -> Result<Vec<Address>, Unavailable> {
        let port = u16::try_from(port).ok().filter(|port| *port > 0).ok_or_else(|| {
            let (namespace, name) = self.owned();
            let why = "a port must be from 1 to 65535".to_owned();
            Unavailable::ServicePort { namespace, name, port, why }
        })?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let bare = bare.strip_suffix('.').unwrap_or(bare);
        Ok(vec![Address::tcp(bare, port)])
    }

    /// The name of the Service's port that has the number which the APIService names; only TCP carries HTTP.
    fn service_port<'s>(&self, service: &'s Value) -> Result<&'s str, Unavailable> {
        let ports = service.pointer("/spec/ports").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let is_tcp = |port: &&Value| port["protocol"].as_str().is_none_or(|protocol| protocol == "TCP");
        let found = ports.iter().filter(is_tcp).find(|port| port["port"].as_i64() == Some(self.port));
        let port = found.ok_or_else(|| {
            let (namespace, name) = self.owned();
            let numbers = ports.iter().filter(is_tcp).take(10).map(|port| port["port"].to_string());
            let why = match numbers.collect::<Vec<_>>().join(", ") {
                none if none.is_empty() => "it has no TCP port".to_owned(),
                numbers => format!("its TCP ports are {numbers}"),
            };
            Unavailable::ServicePort { namespace, name, port: self.port, why }
        })?;
        Ok(port["name"].as_str().unwrap_or_default())
    }

    /// What is behind the port named `port` of the Service: slices, or `Endpoints` if there is no slice at all.
    fn endpoints(&self, port: &str, by: &Surroundings) -> Result<Vec<Address>, Unavailable> {
        let (namespace, name) = self.owned();
        let found = match (by.slices.0.get(&self.key()), by.endpoints.get(&self.key())) {
            (Some(slices), _) => endpoints::of_slices(slices, port),
            (None, Some(endpoints)) => endpoints::of_endpoints(endpoints, port),
            (None, None) => return Err(Unavailable::EndpointsNotFound { namespace, name }),
        };
        let none = || Unavailable::MissingEndpoints { namespace, name, port: port.to_owned() };
        if found.is_empty() { Err(none()) } else { Ok(found) }
    }

    fn not_found(&self) -> Unavailable {
        let (namespace, name) = self.owned();
        Unavailable::ServiceNotFound { namespace, name }
    }

    fn owned(&self) -> (String, String) {
        (self.namespace.clone(), self.name.clone())
    }
}

#[cfg(test)]
mod tests;
