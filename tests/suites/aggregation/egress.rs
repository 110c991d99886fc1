//! Where this server connects to, and where it does not, whatever an object, a name or an answer says. Whoever may write an
//! APIService must not thereby borrow the server's place in the network, or its certificate.

use std::io::ErrorKind;
use std::net::TcpListener;

use detectviz_tests::{Backend, Client, Server, Storage, enterprise};
use serde_json::json;

use super::behind;
use crate::support::{API_SERVICES, await_available, create};

const EXTERNAL_NAMES: &str = "/apis/service.grafana.app/v0alpha1/namespaces/default/externalnames";
const GROUP: &str = "raw.example.com";
const THINGS: &str = "/apis/raw.example.com/v1/namespaces/default/things";

/// Registers `host` as a backend, and gives the message of its condition; a request is 503 and says no more than that.
fn refusal(admin: &Client, number: usize, host: &str, port: u16) -> String {
    let (group, service) = (format!("e{number}.example.com"), format!("e{number}"));
    let name = json!({
        "apiVersion": "service.grafana.app/v0alpha1", "kind": "ExternalName",
        "metadata": {"name": service, "namespace": "default"}, "spec": {"host": host},
    });
    let api_service = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": format!("v1.{group}")},
        "spec": {
            "group": group, "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 15,
            "insecureSkipTLSVerify": true, "service": {"name": service, "namespace": "default", "port": port},
        },
    });
    create(admin, EXTERNAL_NAMES, &name);
    create(admin, API_SERVICES, &api_service);
    let path = format!("{API_SERVICES}/v1.{group}");
    let message = await_available(admin, &path, "False", Some("FailedDiscoveryCheck"));
    admin.get(format!("/apis/{group}/v1/things")).refused(503, "ServiceUnavailable");
    message
}

fn port(server: &Server) -> u16 {
    server.url().rsplit(':').next().and_then(|port| port.parse().ok()).unwrap()
}

/// NCC-E003660-JAV, CVE-2022-35957.
#[test]
fn this_server_is_never_its_own_backend() {
    enterprise(|builder| {
        for (bind, hosts) in [
            (
                "127.0.0.1",
                &[
                    "127.0.0.1",
                    "localhost",
                    "LOCALHOST",
                    "127.0.0.2",
                    "::1",
                    "::ffff:127.0.0.1",
                    "::ffff:7f00:1",
                ][..],
            ),
            ("0.0.0.0", &["127.0.0.1", "localhost", "::ffff:127.0.0.1", "127.1", "2130706433", "0x7f000001"]),
        ] {
            let server = builder.clone().storage(Storage::Memory).option("--bind-address", bind).start();
            let (admin, port) = (server.admin(), port(&server));
            for (number, host) in hosts.iter().enumerate() {
                let message = refusal(&admin, number, host, port);
                let own = message.contains("is this server's own listener");
                // Systems without IPv6 do not get as far as to connect.
                assert!(own || (host.contains("::") && message.contains("connect")), "{host}: {message}");
            }
            assert_eq!(admin.get("/readyz").text(), "ok");
        }
    });
}

/// CVE-2020-8555, CVE-2020-8562, CVE-2021-25740: what stands for an address is judged as that address, once, and dialled.
#[test]
fn no_name_or_spelling_leads_to_a_metadata_service() {
    enterprise(|builder| {
        let server = builder.start();
        let admin = server.admin();
        for (number, (host, why)) in [
            ("169.254.169.254", "link-local"),
            ("::ffff:169.254.169.254", "link-local"),
            ("64:ff9b::a9fe:a9fe", "link-local"),
            ("fe80::1", "link-local"),
            ("168.63.129.16", "metadata"),
            ("100.100.100.200", "metadata"),
            ("fd00:ec2::254", "metadata"),
            ("0.0.0.0", "not the address of any machine"),
            ("::", "not the address of any machine"),
            ("255.255.255.255", "broadcast"),
            ("224.0.0.1", "multicast"),
            // Names, as far as the API is concerned, which the resolver knows to be numbers.
            ("2852039166", "link-local"),
            ("0xa9fea9fe", "link-local"),
            ("169.254.43518", "link-local"),
        ]
        .into_iter()
        .enumerate()
        {
            let message = refusal(&admin, number, host, 80);
            assert!(message.contains(why) && message.contains("refuse to dial"), "{host}: {message}");
        }
    });
}

/// CVE-2022-3172, CVE-2018-1002102: neither this server nor its client is sent elsewhere.
#[test]
fn a_redirect_leads_nobody_anywhere() {
    enterprise(|builder| {
        let server = builder.start();
        let admin = server.admin();
        let canary = TcpListener::bind("127.0.0.1:0").unwrap();
        canary.set_nonblocking(true).unwrap();
        let location = format!("https://{}/", canary.local_addr().unwrap());
        let told = location.clone();
        let backend = Backend::start(GROUP, move |seen, wire| {
            let code = seen.path().rsplit('/').next().unwrap_or_default();
            wire.send(&format!(
                "HTTP/1.1 {code} X\r\nLocation: {told}\r\nRefresh: 0; url={told}\r\nContent-Length: 6\r\n\r\nSECRET"
            ))?;
            Ok(true)
        });
        behind(&admin, &backend);
        for code in [300, 301, 302, 303, 305, 307, 308, 399] {
            for method in ["GET", "POST"] {
                let answer = admin.request(method, format!("{THINGS}/a/{code}")).send();
                answer.refused(502, "BadGateway");
                assert_eq!((answer.header("location"), answer.header("refresh")), (None, None), "{code}");
                assert!(!answer.text().contains("SECRET") && !answer.text().contains(&location), "{answer}");
            }
        }
        assert_eq!(backend.seen().len(), 16);
        assert_eq!(canary.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "somebody came");
    });
}

/// CVE-2025-3454, CVE-2026-42129: what is forwarded is the path that was checked, or nothing.
#[test]
fn no_path_leads_out_of_its_group() {
    enterprise(|builder| {
        let server = builder.start();
        let backend = Backend::start(GROUP, |_, wire| wire.answer(200, "{}").map(|()| true));
        let admin = server.admin();
        behind(&admin, &backend);
        for path in [
            "/apis/raw.example.com/v1/../../../admin",
            "/apis/raw.example.com/v1/things/../../x",
            "/apis/raw.example.com/v1/%2e%2e/x",
            "/apis/raw.example.com/v1/%2E%2e%2fx",
            "/apis/raw.example.com/v1//things",
            "/apis/raw.example.com/v1/things/./x",
            "/apis/raw.example.com/v1/things/a%2fb",
            "/apis/raw.example.com/v1/things/a%00b",
            "/apis/raw.example.com%2fv1/things",
            "/apis/raw.example.com/v1/things/",
        ] {
            admin.get(path).refused(400, "BadRequest");
        }
        assert_eq!(backend.seen().len(), 0);
        // What may stand behind a subresource goes on as it was sent.
        for path in [
            "/apis/raw.example.com/v1/things/a;b/sub",
            "/apis/raw.example.com/v1/things/a/proxy/x%20y?q=%2e%2e%2f",
            "/apis/raw.example.com/v1/things/a%3Fb",
        ] {
            admin.get(path).expect(200);
            assert_eq!(backend.seen().last().unwrap().path(), path);
        }
    });
}
