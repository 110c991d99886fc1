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
    assert!(report.contains("is signed by none of the CAs") || report.contains("BadSignature"), "{report}");
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

#[tokio::test]
async fn while_a_ca_is_rotated_both_are_trusted() {
    let (old, new, other) = (ca("old"), ca("new"), ca("other"));
    let both = Bytes::from(old.pem() + &new.pem());
    for (serving, expected) in [(&old, Ok(())), (&new, Ok(())), (&other, Err(Phase::Tls))] {
        let server = Server::start(Some(server_config(serving, &other))).await;
        let options = TlsOptions { ca_bundle_pem: Some(both.clone()), ..trusting(&old) };
        assert_eq!(outcome(&server, options).await, expected);
    }
}

#[tokio::test]
async fn a_ca_that_was_made_anew_is_told_from_one_that_nobody_knows() {
    let (made_anew, known, stranger) = (ca("same"), ca("same"), ca("stranger"));
    let server = Server::start(Some(server_config(&made_anew, &known))).await;
    let report =
        async |options| server.transport(Some(options)).send(get("/")).await.err().unwrap().error.report();
    let said = report(trusting(&known)).await;
    assert!(
        said.contains("is signed by a CA that is called as one that may sign it, but has another key"),
        "{said}"
    );
    let said = report(trusting(&stranger)).await;
    assert!(said.contains("is signed by none of the CAs that may sign it"), "{said}");
}

/// What is said of a server whose certificate is made by `change`.
async fn said_of(change: fn(&mut CertificateParams)) -> String {
    let serving = ca("serving");
    let mut params = leaf_params("backend.test", ExtendedKeyUsagePurpose::ServerAuth);
    change(&mut params);
    let server = Server::start(Some(showing(signed(&serving, &params), &serving))).await;
    let sent = server.transport(Some(trusting(&serving))).send(get("/")).await;
    sent.err().map(|failed| failed.error.report()).unwrap_or_default()
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_said_for_people() {
    assert_eq!(said_of(|_| {}).await, "");
    let expired = said_of(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 2)).await;
    let expected =
        "the backend's certificate has expired: it was valid until 2020-01-02T00:00:00Z, and now is 2";
    assert!(expired.contains(expected), "{expired}");
    let early = said_of(|params| params.not_before = rcgen::date_time_ymd(4000, 1, 2)).await;
    assert!(early.contains("is not valid yet: it is from 4000-01-02T00:00:00Z on"), "{early}");
    let named = said_of(|params| {
        params.subject_alt_names =
            CertificateParams::new(["other.test".to_owned()]).unwrap().subject_alt_names;
    })
    .await;
    assert!(named.contains("is not for \"backend.test\" but for \"other.test\""), "{named}");
    let client =
        said_of(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]).await;
    assert!(client.contains("is not one for servers"), "{client}");
}

#[tokio::test]
async fn the_names_of_a_certificate_write_no_lines_of_their_own() {
    let said = said_of(|params| {
        let name = |number| format!("{number}\u{1b}[2K\nERROR forged").try_into().unwrap();
        params.subject_alt_names = (0..1000).map(|number| rcgen::SanType::DnsName(name(number))).collect();
    })
    .await;
    assert!(said.contains("is not for \"backend.test\" but for") && said.contains("and 992 more"), "{said}");
    assert!(said.len() < 2000 && !said.contains(char::is_control), "{said:?}");
}

/// A server with a certificate that it signed itself and that calls itself a CA, and the certificate in PEM.
async fn self_signed(change: fn(&mut CertificateParams)) -> (Server, TlsOptions) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["backend.test".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    let certificate = params.self_signed(&key).unwrap();
    let ca_bundle_pem = Some(Bytes::from(certificate.pem()));
    let shown = (vec![certificate.into()], PrivateKeyDer::try_from(key.serialize_der()).unwrap());
    let server = Server::start(Some(showing(shown, &ca("other")))).await;
    let options = TlsOptions { ca_bundle_pem, server_name: "backend.test".into(), ..TlsOptions::default() };
    (server, options)
}

#[tokio::test]
async fn a_certificate_that_is_itself_in_the_bundle_is_trusted_as_what_it_is() {
    let (server, options) = self_signed(|_| {}).await;
    assert_eq!(outcome(&server, options.clone()).await, Ok(()));
    let renamed = TlsOptions { server_name: "other.test".into(), ..options };
    assert_eq!(outcome(&server, renamed).await, Err(Phase::Tls));
    let wrong: [fn(&mut CertificateParams); 3] = [
        |params| params.not_after = rcgen::date_time_ymd(2020, 1, 2),
        |params| params.not_before = rcgen::date_time_ymd(4000, 1, 2),
        |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
    ];
    for change in wrong {
        let (server, options) = self_signed(change).await;
        assert_eq!(outcome(&server, options).await, Err(Phase::Tls));
    }
    // One of the same name and key owner that is not in the bundle.
    let ((_, options), (server, _)) = (self_signed(|_| {}).await, self_signed(|_| {}).await);
    assert_eq!(outcome(&server, options).await, Err(Phase::Tls));
}

#[tokio::test]
async fn a_session_is_resumed_and_the_certificates_end_is_known() {
    let serving = ca("serving");
    let mut params = leaf_params("backend.test", ExtendedKeyUsagePurpose::ServerAuth);
    params.not_after = rcgen::date_time_ymd(4000, 1, 2);
    let server = Server::start(Some(showing(signed(&serving, &params), &serving))).await;
    let target =
        Target { address: Address::tcp("127.0.0.1", server.address.port()), tls: Some(trusting(&serving)) };
    let none_kept = TransportOptions { max_idle: 0, ..TransportOptions::default() };
    let transport = Transport::new(target, dialer(), &none_kept).unwrap();
    assert_eq!(transport.certificate_expiry(), None);
    for handshakes in 1..=3 {
        text(transport.send(get("/")).await.unwrap()).await;
        assert_eq!(server.accepted.load(Ordering::SeqCst), handshakes);
        let until: std::time::SystemTime = rcgen::date_time_ymd(4000, 1, 2).into();
        assert_eq!(transport.certificate_expiry(), Some(until));
    }
    assert_eq!(server.resumed.load(Ordering::SeqCst), 2);
}
