//! Our own certificate: by it, and by nothing else, a backend believes what we say of a caller.

use detectviz_client::ClientIdentity;
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::BuildError;

/// The certificate's files, read again each time so that a renewed one is used without a restart.
pub(crate) struct FrontProxy {
    /// Certificate chain and key, in PEM.
    files: (PathBuf, PathBuf),
    last: Mutex<Option<Loaded>>,
}

struct Loaded {
    chain: Vec<u8>,
    key: Vec<u8>,
    identity: Arc<ClientIdentity>,
}

impl FrontProxy {
    pub(crate) fn new(files: (PathBuf, PathBuf)) -> Self {
        Self { files, last: Mutex::default() }
    }

    /// The certificate as it is now; the same `Arc` as long as the files hold the same.
    ///
    /// # Errors
    /// When a file cannot be read, or is no PEM.
    pub(crate) async fn load(&self) -> Result<Arc<ClientIdentity>, BuildError> {
        let fail = |fault: std::io::Error| BuildError::Identity(fault.to_string());
        let chain = tokio::fs::read(&self.files.0).await.map_err(fail)?;
        let key = tokio::fs::read(&self.files.1).await.map_err(fail)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = last.as_ref().filter(|last| last.chain == chain && last.key == key) {
            return Ok(Arc::clone(&same.identity));
        }
        let identity = Arc::new(parse(&chain, &key)?);
        *last = Some(Loaded { chain, key, identity: Arc::clone(&identity) });
        Ok(identity)
    }
}

fn parse(chain: &[u8], key: &[u8]) -> Result<ClientIdentity, BuildError> {
    let fail = |fault: pem::Error| BuildError::Identity(fault.to_string());
    let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>().map_err(fail)?;
    if chain.is_empty() {
        return Err(BuildError::Identity("the file must hold a PEM certificate".to_owned()));
    }
    Ok(ClientIdentity { chain, key: PrivateKeyDer::from_pem_slice(key).map_err(fail)? })
}
