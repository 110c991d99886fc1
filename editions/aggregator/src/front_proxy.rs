//! Our own certificate: by it, and by nothing else, a backend believes what we say of a caller.

use detectviz_client::{ClientIdentity, TlsOptions};
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

use crate::error::BuildError;
use crate::stamp::{LOOK_EVERY, Stamp};

/// The certificate's files, read again when they change so that a renewed one is used without a restart.
pub(crate) struct FrontProxy {
    /// Certificate chain and key, in PEM.
    files: (PathBuf, PathBuf),
    last: Mutex<Last>,
    /// How often there was a new certificate.
    renewals: watch::Sender<u64>,
}

#[derive(Default)]
struct Last {
    stamps: [Stamp; 2],
    loaded: Option<Loaded>,
}

struct Loaded {
    chain: Vec<u8>,
    key: Vec<u8>,
    identity: Arc<ClientIdentity>,
}

impl FrontProxy {
    pub(crate) fn new(files: (PathBuf, PathBuf)) -> Self {
        Self { files, last: Mutex::default(), renewals: watch::Sender::new(0) }
    }

    /// The certificate as it is now; the same `Arc` as long as the files hold the same. While they cannot be used, for
    /// instance because one of the two is not renewed yet, it stays the one of before.
    ///
    /// # Errors
    /// When there never was one: a file cannot be read, is no PEM, or they do not fit together.
    pub(crate) async fn load(&self) -> Result<Arc<ClientIdentity>, BuildError> {
        let stamps = [Stamp::of(&self.files.0).await, Stamp::of(&self.files.1).await];
        if let Some(same) = self.unchanged(stamps) {
            return Ok(same);
        }
        let read = self.read().await;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.stamps = stamps;
        match (read, &mut last.loaded) {
            (Ok((chain, key, _)), Some(have)) if have.chain == chain && have.key == key => {
                Ok(Arc::clone(&have.identity))
            }
            (Ok((chain, key, identity)), have) => {
                if have.replace(Loaded { chain, key, identity: Arc::clone(&identity) }).is_some() {
                    tracing::info!("the front-proxy client certificate was renewed");
                    self.renewals.send_modify(|count| *count += 1);
                }
                Ok(identity)
            }
            (Err(why), Some(have)) => {
                tracing::warn!(error = %why, "keep the front-proxy client certificate of before");
                Ok(Arc::clone(&have.identity))
            }
            (Err(why), None) => Err(why),
        }
    }

    /// Looks at the files now and then, for as long as it is polled, so that a renewed certificate is used at once by
    /// all who wait for [`Self::renewals`].
    pub(crate) async fn watch(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            // What is wrong is told to those who need it.
            let _ = self.load().await;
        }
    }

    /// Changes whenever there is another certificate than before.
    pub(crate) fn renewals(&self) -> watch::Receiver<u64> {
        self.renewals.subscribe()
    }

    fn unchanged(&self, stamps: [Stamp; 2]) -> Option<Arc<ClientIdentity>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = last.loaded.as_ref().filter(|_| last.stamps == stamps);
        loaded.map(|loaded| Arc::clone(&loaded.identity))
    }

    async fn read(&self) -> Result<(Vec<u8>, Vec<u8>, Arc<ClientIdentity>), BuildError> {
        let fail = |fault: std::io::Error| BuildError::Identity(fault.to_string());
        let chain = tokio::fs::read(&self.files.0).await.map_err(fail)?;
        let key = tokio::fs::read(&self.files.1).await.map_err(fail)?;
        let identity = parse(&chain, &key)?;
        Ok((chain, key, identity))
    }
}

fn parse(chain: &[u8], key: &[u8]) -> Result<Arc<ClientIdentity>, BuildError> {
    let fail = |fault: pem::Error| BuildError::Identity(fault.to_string());
    let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>().map_err(fail)?;
    if chain.is_empty() {
        return Err(BuildError::Identity("the file must hold a PEM certificate".to_owned()));
    }
    let identity = Arc::new(ClientIdentity { chain, key: PrivateKeyDer::from_pem_slice(key).map_err(fail)? });
    let client_identity = Some(Arc::clone(&identity));
    // Whether certificate and key fit together shows only when they are used.
    let trial = TlsOptions { client_identity, insecure_skip_verify: true, ..TlsOptions::default() };
    trial.client_config().map_err(|why| BuildError::Target(why.into()))?;
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::tests::write_identity;
    use std::fs;

    #[tokio::test]
    async fn a_renewed_certificate_is_told_and_half_of_one_changes_nothing() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = |name: &str| folder.path().join(name);
        let front_proxy = FrontProxy::new((file("crt"), file("key")));
        assert!(front_proxy.load().await.is_err());
        write_identity(folder.path());
        let renewals = front_proxy.renewals();
        let first = front_proxy.load().await.unwrap();
        assert!(Arc::ptr_eq(&first, &front_proxy.load().await.unwrap()));
        write_identity(other.path());
        fs::rename(other.path().join("crt"), file("crt")).unwrap();
        assert!(
            Arc::ptr_eq(&first, &front_proxy.load().await.unwrap()),
            "the key is still that of the other one"
        );
        assert!(!renewals.has_changed().unwrap());
        fs::rename(other.path().join("key"), file("key")).unwrap();
        assert!(!Arc::ptr_eq(&first, &front_proxy.load().await.unwrap()));
        assert!(renewals.has_changed().unwrap());
        fs::remove_file(file("key")).unwrap();
        assert!(front_proxy.load().await.is_ok());
    }

    #[tokio::test]
    async fn what_does_not_fit_together_is_refused_at_first() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write_identity(folder.path());
        write_identity(other.path());
        let files = (folder.path().join("crt"), other.path().join("key"));
        let why = FrontProxy::new(files).load().await.unwrap_err();
        assert!(why.to_string().contains("use the client certificate"), "{why}");
    }
}
