//! TLS: whom we trust, and what we show.

use super::*;

async fn outcome(server: &Server, options: TlsOptions) -> Result<(), Phase> {
    let sent = server.transport(Some(options)).send(get("/")).await;
    sent.map(drop).map_err(|error| error.phase())
}

#[tokio::test]
async fn a_backend_must_be_signed_by_the_bundle_and_carry_the_name() {
    let (serving, other) = (ca("serving"), ca("other"));
    let server = Server::start(Some(server_config(&serving, &other))).await;
    assert_eq!(outcome(&server, trusting(&serving)).await, Ok(()));
    assert_eq!(outcome(&server, trusting(&other)).await, Err(Phase::Tls));
    let renamed = TlsOptions { server_name: "other.test".into(), ..trusting(&serving) };
    assert_eq!(outcome(&server, renamed.clone()).await, Err(Phase::Tls));
    let unchecked = TlsOptions { ca_bundle_pem: None, insecure_skip_verify: true, ..renamed };
    assert_eq!(outcome(&server, unchecked).await, Ok(()));
}

#[tokio::test]
async fn an_untrusted_backend_never_sees_the_request_and_the_error_says_why() {
    let (serving, other) = (ca("serving"), ca("other"));
    let server = Server::start(Some(server_config(&serving, &other))).await;
    let error = server.transport(Some(trusting(&other))).send(get("/secret")).await.err().unwrap().error;
    let report = error.report();
    assert!(report.starts_with(&format!("negotiate TLS with {}: ", server.address)), "{report}");
    assert!(report.contains("UnknownIssuer") || report.contains("BadSignature"), "{report}");
}

#[tokio::test]
async fn our_certificate_is_shown_to_a_backend_that_asks() {
    let (serving, front_proxy) = (ca("serving"), ca("front-proxy"));
    let server = Server::start(Some(server_config(&serving, &front_proxy))).await;
    let (chain, key) = leaf(&front_proxy, "front-proxy-client", ExtendedKeyUsagePurpose::ClientAuth);
    let identity = Some(Arc::new(ClientIdentity { chain, key }));
    for (client_identity, shown) in [(None, "0"), (identity, "1")] {
        let options = TlsOptions { client_identity, ..trusting(&serving) };
        let response = server.transport(Some(options)).send(get("/")).await.unwrap();
        assert_eq!(response.headers()["x-certificates"], shown);
    }
}
