//! Objects as several managers leave them: 3 KiB, of which managedFields say who set what; and objects of the same size
//! without. Nothing of managedFields is made up here: the server keeps them of the writes that it sees.

use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value, json};

use crate::load::{Client, Connection, Protocol, Target};
use crate::server::collection;

/// The bytes of an object as the server answers it.
pub(crate) const SIZE: usize = 3072;
/// The media type of a merge patch.
pub(crate) const MERGE: &str = "application/merge-patch+json";
/// Values of the manager that creates an object, and of the controller that adds to it.
const SETTINGS: usize = 16;
const OBSERVED: usize = 10;

/// One way to change an object; each change sets another value of `data.sequence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The whole object without managedFields, of the same size.
    Plain,
    /// The whole object with the managedFields that the server told.
    Update,
    /// The one value.
    Merge,
    /// The one value.
    Strategic,
    /// All that one applier wants, with force.
    Apply,
}

impl Change {
    /// What the change is called in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain update",
            Self::Update => "update",
            Self::Merge => "merge patch",
            Self::Strategic => "strategic merge patch",
            Self::Apply => "server-side apply",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Plain | Self::Update => "application/json",
            Self::Merge => MERGE,
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Apply => "application/apply-patch+yaml",
        }
    }

    fn query(self) -> &'static str {
        match self {
            Self::Apply => "fieldManager=bench&force=true",
            _ => "fieldManager=bench",
        }
    }
}

/// So many values, whose names begin with `what`.
fn values(what: &str, count: usize) -> Map<String, Value> {
    (0..count)
        .map(|number| (format!("{what}-{number:02}"), json!(format!("{what} value {number:02}"))))
        .collect()
}

/// The object as it is created, with a value of `filler` bytes.
fn created(name: &str, filler: usize) -> Value {
    let mut data = values("setting", SETTINGS);
    data.insert("sequence".to_owned(), json!("0"));
    data.insert("filler".to_owned(), json!("x".repeat(filler)));
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": data,
        "metadata": {
            "name": name, "annotations": {"example.com/owner": "bench"},
            "labels": {"app.kubernetes.io/name": "bench", "app.kubernetes.io/part-of": "measured", "tier": "backend"},
        },
    })
}

/// What a controller adds to it.
fn added() -> Value {
    json!({"metadata": {"annotations": {"controller.example.com/checksum": "0123456789abcdef"}}, "data": values("observed", OBSERVED)})
}

/// What an applier wants of it: its settings, and the sequence.
fn applied(name: &str) -> Value {
    let mut object = created(name, 0);
    if let Some(data) = object["data"].as_object_mut() {
        data.remove("filler");
    }
    object["data"]["sequence"] = SEQUENCE.into();
    object
}

/// An object of `size` bytes that says, as far as the server listens, that it wants no managedFields.
fn plain(name: &str, size: usize) -> Value {
    let mut object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "managedFields": []},
        "data": {"sequence": SEQUENCE, "text": ""},
    });
    let filler = size.saturating_sub(object.to_string().len() + ADDED_BY_SERVER);
    object["data"]["text"] = "x".repeat(filler).into();
    object
}

/// What stands in a body where the sequence goes.
const SEQUENCE: &str = "@sequence@";
/// About how much the server adds to metadata: uid, namespace, creationTimestamp, resourceVersion.
const ADDED_BY_SERVER: usize = 150;

/// Makes objects with managedFields.
pub(crate) struct Maker {
    connection: Connection,
    collection: String,
    filler: usize,
}

impl Maker {
    /// A maker whose objects have [`SIZE`] bytes.
    pub(crate) async fn new(target: &Target, namespace: &str, probe: &str) -> anyhow::Result<Self> {
        let connection = target.connect(Protocol::Http2).await?;
        let mut maker = Self { connection, collection: collection(namespace), filler: 0 };
        let bare = maker.make(probe).await?.len();
        maker.filler = SIZE.saturating_sub(bare);
        Ok(maker)
    }

    /// Creates an object by one manager and adds to it by another; the object as it is answered then.
    pub(crate) async fn make(&mut self, name: &str) -> anyhow::Result<Bytes> {
        let body = created(name, self.filler).to_string().into();
        let path = format!("{}?fieldManager=creator", self.collection);
        self.connection.fetch(Method::POST, &path, Some(body)).await?;
        let path = format!("{}/{name}?fieldManager=controller", self.collection);
        self.connection.patch(&path, MERGE, added().to_string().into()).await
    }

    /// Creates an object of the same size, and takes its managedFields away; the object as it is answered then.
    pub(crate) async fn make_plain(&mut self, name: &str) -> anyhow::Result<Bytes> {
        let body: Bytes = plain(name, SIZE).to_string().into();
        self.connection.fetch(Method::POST, &self.collection, Some(body.clone())).await?;
        self.connection.fetch(Method::PUT, &format!("{}/{name}", self.collection), Some(body)).await
    }
}

/// A client that changes its own object again and again.
pub(crate) struct Changer {
    connection: Connection,
    change: Change,
    path: String,
    /// The body, with [`SEQUENCE`] in it.
    body: String,
    sequence: u64,
}

impl Changer {
    /// Clients with a connection and an object each.
    pub(crate) async fn clients(
        target: &Target,
        namespace: &str,
        change: Change,
        count: usize,
    ) -> anyhow::Result<Vec<Self>> {
        let run = format!("{change:?}-{count}").to_lowercase();
        let mut maker = Maker::new(target, namespace, &format!("{run}-probe")).await?;
        let mut clients = Vec::with_capacity(count);
        for index in 0..count {
            let name = format!("{run}-{index}");
            let answer = match change {
                Change::Plain => maker.make_plain(&name).await?,
                _ => maker.make(&name).await?,
            };
            let body = match change {
                Change::Plain => plain(&name, SIZE).to_string(),
                Change::Update => sent_again(&answer)?,
                Change::Merge | Change::Strategic => json!({"data": {"sequence": SEQUENCE}}).to_string(),
                Change::Apply => applied(&name).to_string(),
            };
            let path = format!("{}/{name}?{}", collection(namespace), change.query());
            let connection = target.connect(Protocol::Http2).await?;
            clients.push(Self { connection, change, path, body, sequence: 0 });
        }
        Ok(clients)
    }
}

/// An object as a client sends it back that has just read it, whatever its version is by then.
fn sent_again(answer: &Bytes) -> anyhow::Result<String> {
    let mut object: Value = serde_json::from_slice(answer)?;
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
    object["data"]["sequence"] = SEQUENCE.into();
    Ok(object.to_string())
}

impl Client for Changer {
    async fn call(&mut self) -> anyhow::Result<()> {
        self.sequence += 1;
        let body = self.body.replace(SEQUENCE, &self.sequence.to_string()).into();
        let answer = match self.change {
            Change::Plain | Change::Update => {
                self.connection.fetch(Method::PUT, &self.path, Some(body)).await
            }
            patch => self.connection.patch(&self.path, patch.media_type(), body).await,
        };
        answer.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_one_place_for_the_sequence_and_the_size_of_the_others() {
        let answer = Bytes::from(
            json!({"metadata": {"name": "a", "resourceVersion": "7"}, "data": {"sequence": "0"}}).to_string(),
        );
        for body in [plain("a", SIZE).to_string(), applied("a").to_string(), sent_again(&answer).unwrap()] {
            assert_eq!(body.matches(SEQUENCE).count(), 1, "{body}");
            assert!(!body.contains("resourceVersion"), "{body}");
        }
        assert_eq!(plain("a", SIZE).to_string().len(), SIZE - ADDED_BY_SERVER);
        let whole = created("a", 0).to_string().len() + added().to_string().len();
        assert!(whole < SIZE * 2 / 3, "no room for managedFields: {whole}");
    }
}
