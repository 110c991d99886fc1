//! Extension API servers that a file names: each becomes an APIService and, with a host, an ExternalName. Those that
//! go from the file go again, marked as they are; what somebody made by hand is never touched.

mod document;
mod entries;
mod keeper;
mod objects;

use detectviz_client::tls;
use detectviz_core::options::{AggregatorOptions, Fault, Faults};
use detectviz_core::{Loopback, RunContext};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::stamp::Stamp;
use keeper::Keeper;
use objects::Wanted;

/// The most bytes of either file.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// How long a file must stay as it is to be believed.
const SETTLED_AFTER: Duration = Duration::from_millis(200);
/// The most mistakes that are logged, a line each.
const MAX_TOLD: usize = 100;

const SERVICES_KEY: &str = "aggregator.remote_services_file";
const BUNDLE_KEY: &str = "aggregator.api_service_ca_bundle_file";

/// The files, and what they say.
#[derive(Clone, Debug)]
pub(crate) struct RemoteServices {
    options: Arc<AggregatorOptions>,
    stamps: [Stamp; 2],
    wanted: Objects,
}

/// What the files ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Objects {
    api_services: Wanted,
    external_names: Wanted,
}

impl RemoteServices {
    /// Reads the files that the options name.
    ///
    /// # Errors
    /// Every mistake in them, with its line.
    pub(crate) async fn load(options: AggregatorOptions) -> Result<Self, Faults> {
        let stamps = stamps(&options).await;
        let wanted = read(&options).await?;
        Ok(Self { options: Arc::new(options), stamps, wanted })
    }

    /// Keeps the objects as the files say until `context` ends.
    pub(crate) fn start(self, context: &RunContext, loopback: Arc<dyn Loopback>) {
        let keeper = Keeper::new(self, context.clone(), loopback);
        context.spawn(keeper.run());
    }

    /// Whether there is any file to look at.
    fn is_configured(&self) -> bool {
        is_given(&self.options.remote_services_file)
    }

    /// Reads the files again if they have changed; returns whether they say something else. While there are mistakes
    /// in them, what they said before stays. May be dropped at any time: what was not finished is done the next time.
    async fn refresh(&mut self) -> bool {
        let stamps = stamps(&self.options).await;
        if stamps == self.stamps {
            return false;
        }
        let read = read(&self.options).await;
        // A file that is being written is not read yet: for a moment it may say that there is nothing.
        tokio::time::sleep(SETTLED_AFTER).await;
        if stamps != self::stamps(&self.options).await {
            return false;
        }
        self.stamps = stamps;
        match read {
            Ok(wanted) if wanted == self.wanted => false,
            Ok(wanted) => {
                tracing::info!(services = wanted.api_services.len(), "read the remote services again");
                self.wanted = wanted;
                true
            }
            Err(Faults(faults)) => {
                for Fault { key, origin, message } in faults.iter().take(MAX_TOLD) {
                    tracing::error!(key, origin, error = message, "keep the remote services of before");
                }
                false
            }
        }
    }
}

fn is_given(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}

async fn stamps(options: &AggregatorOptions) -> [Stamp; 2] {
    [Stamp::of(&options.remote_services_file).await, Stamp::of(&options.api_service_ca_bundle_file).await]
}

async fn read(options: &AggregatorOptions) -> Result<Objects, Faults> {
    if !is_given(&options.remote_services_file) {
        return Ok(Objects::default());
    }
    let (services, bundle) = tokio::join!(services(options), bundle(options));
    let mut faults = Vec::new();
    let services = services.map_err(|mistakes| faults.extend(mistakes)).unwrap_or_default();
    let bundle = bundle.map_err(|mistake| faults.push(mistake)).unwrap_or_default();
    let needs_one = services.iter().any(|service| service.is_tls);
    if faults.is_empty() && bundle.is_none() && needs_one {
        let why = "must be given: it vouches for the remote services";
        faults.push(fault(BUNDLE_KEY, "default", why.to_owned()));
    }
    if !faults.is_empty() {
        return Err(Faults(faults));
    }
    let api_services = objects::api_services(&services, bundle.as_deref());
    Ok(Objects { api_services, external_names: objects::external_names(&services) })
}

async fn services(options: &AggregatorOptions) -> Result<Vec<entries::Entry>, Vec<Fault>> {
    let path = &options.remote_services_file;
    let bytes = contents(SERVICES_KEY, path).await.map_err(|mistake| vec![mistake])?;
    let at = |(line, why)| fault(SERVICES_KEY, &format!("{}:{line}", path.display()), why);
    let text = String::from_utf8(bytes).map_err(|why| vec![at((1, why.to_string()))])?;
    entries::read(&text, &options.socket_dirs).map_err(|faults| faults.into_iter().map(at).collect())
}

async fn bundle(options: &AggregatorOptions) -> Result<Option<Vec<u8>>, Fault> {
    let path = &options.api_service_ca_bundle_file;
    if !is_given(path) {
        return Ok(None);
    }
    let bytes = contents(BUNDLE_KEY, path).await?;
    match tls::read_bundle(&bytes) {
        Ok(_) => Ok(Some(bytes)),
        Err(why) => Err(fault(BUNDLE_KEY, &path.display().to_string(), why.to_string())),
    }
}

async fn contents(key: &str, path: &PathBuf) -> Result<Vec<u8>, Fault> {
    let mistake = |why| fault(key, &path.display().to_string(), why);
    let size =
        tokio::fs::metadata(path).await.map_err(|why| mistake(format!("cannot read the file: {why}")))?.len();
    if size > MAX_BYTES {
        return Err(mistake(format!("is larger than {MAX_BYTES} bytes")));
    }
    tokio::fs::read(path).await.map_err(|why| mistake(format!("cannot read the file: {why}")))
}

fn fault(key: &str, origin: &str, message: String) -> Fault {
    Fault { key: key.to_owned(), origin: origin.to_owned(), message }
}

#[cfg(test)]
mod tests;
