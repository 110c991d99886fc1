//! Who may speak to etcd, and to which etcd we speak.

use std::{fs, sync::Arc, time::Duration};

use bytes::Bytes;
use detectviz_client::{ClientIdentity, TlsOptions};
use detectviz_storage::{
    StoreError,
    etcd::{Etcd as EtcdStore, EtcdOptions},
};
use detectviz_tests::{Authority, Certificate, Etcd, EtcdLine, EtcdTls};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use crate::support::{LINES, create, endpoint, options};

fn identity(certificate: &Certificate) -> Arc<ClientIdentity> {
    let (chain, key) = certificate.pem();
    let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()];
    Arc::new(ClientIdentity { chain, key: PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap() })
}

fn secured(line: EtcdLine, server: &Authority, clients: &Authority) -> (Etcd, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = server.server("127.0.0.1");
    let path = |name: &str| folder.path().join(name);
    let tls =
        EtcdTls { certificate: path("server.crt"), key: path("server.key"), client_ca: path("clients.crt") };
    fs::write(&tls.certificate, certificate).unwrap();
    fs::write(&tls.key, key).unwrap();
    fs::write(&tls.client_ca, clients.pem()).unwrap();
    (Etcd::with_tls(line, Some(&tls)), folder)
}

async fn connect(
    etcd: &Etcd,
    ca: &Authority,
    who: Option<&Certificate>,
) -> Result<Arc<EtcdStore>, StoreError> {
    let tls = TlsOptions {
        ca_bundle_pem: Some(Bytes::from(ca.pem().to_owned())),
        server_name: "127.0.0.1".into(),
        client_identity: who.map(identity),
        ..TlsOptions::default()
    };
    let options = EtcdOptions {
        endpoints: vec![endpoint(etcd.port(), Some(tls))],
        request_timeout: Duration::from_secs(2),
        ..options(&[])
    };
    EtcdStore::open(options).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_prove_who_they_are() {
    for line in LINES {
        let (server, clients, stranger) =
            (Authority::new("etcd"), Authority::new("clients"), Authority::new("stranger"));
        let (etcd, _folder) = tokio::task::block_in_place(|| secured(line, &server, &clients));
        let client = clients.client("detectviz", None);
        let store = connect(&etcd, &server, Some(&client)).await.unwrap();
        create(&store, "/a", "x").await;
        for (ca, who) in [
            (&stranger, Some(&client)),
            (&server, None),
            (&server, Some(&stranger.client("detectviz", None))),
        ] {
            let refused = connect(&etcd, ca, who).await.err();
            assert!(matches!(refused, Some(StoreError::Unavailable { .. })), "{refused:?}");
        }
    }
}
