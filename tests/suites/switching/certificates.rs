//! Certificates, CAs and tokens are replaced while clients are served.

use std::path::{Path, PathBuf};

use detectviz_tests::{Authority, Certificate, Client, Edition, Server, editions, replace, wait_for};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::load::Load;
use super::{await_no_remark, await_remark, sample};
use crate::support::{CONFIG_MAPS, config_map, create};

const NAME: &str = "api.example.com";
const REFUSED: &str = "not read again";

/// The last edition that was built: certificates have nothing to do with runners.
fn edition() -> Edition {
    *editions().last().unwrap()
}

/// Files that the server was given.
struct Given {
    cert: PathBuf,
    key: PathBuf,
    users: PathBuf,
    tokens: PathBuf,
}

impl Given {
    fn in_folder(folder: &Path) -> Self {
        let [cert, key, users, tokens] =
            ["given.crt", "given.key", "users.crt", "tokens.csv"].map(|name| folder.join(name));
        Self { cert, key, users, tokens }
    }

    /// Lets `authority` sign a new certificate, and gives it in DER.
    fn serve_by(&self, authority: &Authority) -> Vec<u8> {
        let (cert, key) = authority.server(NAME);
        replace(&self.key, &key);
        replace(&self.cert, &cert);
        CertificateDer::from_pem_slice(cert.as_bytes()).unwrap().to_vec()
    }

    fn believe(&self, authorities: &[&Authority]) {
        replace(&self.users, &authorities.iter().map(|authority| authority.pem()).collect::<String>());
    }

    /// A server with all of them.
    fn start(&self, builder: detectviz_tests::Builder) -> Server {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let builder = builder
            .option("--tls-cert-file", &text(&self.cert))
            .option("--tls-private-key-file", &text(&self.key))
            .option("--client-ca-file", &text(&self.users))
            .option("--token-auth-file", &text(&self.tokens));
        builder.all_controllers().start()
    }
}

/// What a new connection of `client` is shown.
fn shown(client: &Client) -> Vec<u8> {
    let (answer, connection) = client.request("GET", "/version").send_on(client.connect().unwrap()).unwrap();
    assert_eq!(answer.code, 200);
    connection.unwrap().server_certificate().unwrap()
}

fn master(authority: &Authority) -> Certificate {
    authority.client("master", Some("system:masters"))
}

#[test]
fn a_serving_certificate_is_replaced_under_load() {
    let builder = Server::builder(edition()).allow_log(REFUSED);
    let given = Given::in_folder(builder.folder());
    let (authority, users) = (Authority::new("serving"), Authority::new("users"));
    let first = given.serve_by(&authority);
    given.believe(&[&users]);
    replace(&given.tokens, "");
    let server = given.start(builder);
    let client = server.client_of(NAME, authority.der(), Some(&master(&users)));
    assert_eq!(shown(&client), first);
    // The administrator's kubeconfig asks for the certificate that its CA signed.
    assert!(server.kubectl("get namespaces -o name").ok().contains("namespace/default"));
    let admin = server.client_of("kubernetes.default.svc", own_ca(&server), None);
    assert_ne!(shown(&admin), first);
    let mut watch = client.watch(format!("{CONFIG_MAPS}?watch=true&fieldSelector=metadata.name%3Dlast"));
    let load = Load::new().local(&client, "one").connecting(&client).connecting(&server.admin());
    for by_word in [false, true, false] {
        let next = given.serve_by(&authority);
        if by_word {
            server.hangup();
        }
        wait_for("new connections see the new certificate", || (shown(&client) == next).then_some(()));
        load.go_round();
    }
    // A key that does not fit, then no certificate at all: what is there stays.
    let current = shown(&client);
    let (_, other_key) = authority.server(NAME);
    let good_key = std::fs::read_to_string(&given.key).unwrap();
    replace(&given.key, &other_key);
    await_remark(&client, "serving certificate", "given.key: the key is another certificate's");
    assert_eq!(shown(&client), current);
    assert_eq!(sample(&client, "apiserver_last_reload_successful{subject=\"serving certificate\"}"), Some(0));
    replace(&given.key, &good_key);
    await_no_remark(&client, "serving certificate");
    load.end();
    create(&client, CONFIG_MAPS, &config_map("last", "x"));
    assert_eq!(watch.expect("ADDED")["metadata"]["name"], "last", "a connection from before goes on");
    assert!(server.kubectl("get namespaces -o name").ok().contains("namespace/default"));
}

fn own_ca(server: &Server) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(server.pki("serving-ca").with_extension("crt")).unwrap()
}

#[test]
fn users_move_from_one_ca_to_the_next_and_the_old_one_is_refused_then() {
    let builder = Server::builder(edition());
    let given = Given::in_folder(builder.folder());
    let (authority, old, new) = (Authority::new("serving"), Authority::new("old"), Authority::new("new"));
    given.serve_by(&authority);
    given.believe(&[&old]);
    replace(&given.tokens, "");
    let server = given.start(builder);
    let of = |users: &Authority| server.client_of(NAME, authority.der(), Some(&master(users)));
    let (before, after, admin) = (of(&old), of(&new), server.admin());
    let refused = |client: &Client| client.request("GET", CONFIG_MAPS).try_send().is_err();
    assert!(refused(&after));
    let mut watch = before.watch(format!("{CONFIG_MAPS}?watch=true"));
    let others = Load::new().local(&admin, "admin").connecting(&admin);
    let movers = Load::new().local(&before, "old").connecting(&before);
    given.believe(&[&old, &new]);
    wait_for("both are believed", || (!refused(&after)).then_some(()));
    movers.go_round();
    let moved = Load::new().local(&after, "new").connecting(&after);
    movers.end();
    // On connections that are older than the removal: one rests, one watches.
    let idle = before.request("GET", CONFIG_MAPS).send_on(before.connect().unwrap()).unwrap().1;
    given.believe(&[&new]);
    wait_for("the old one is refused", || refused(&before).then_some(()));
    assert!(idle.unwrap().ends(), "a resting connection is told goodbye");
    let events: Vec<_> = watch.by_ref().collect();
    assert!(!events.is_empty(), "the watch saw events, and ended in order");
    moved.go_round();
    moved.end();
    others.end();
    assert_eq!(after.get(CONFIG_MAPS).code, 200);
    // What extension API servers are told comes from the same place.
    let published = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
    let body = new.pem().replace("\r\n", "\n");
    let line = body.lines().nth(1).unwrap().to_owned();
    wait_for("it is published", || {
        admin.get(published).expect(200).to_string().contains(&line).then_some(())
    });
}

#[test]
fn tokens_are_read_again_and_a_bad_file_changes_nothing() {
    let builder = Server::builder(edition()).allow_log(REFUSED);
    let tokens = builder.folder().join("tokens.csv");
    replace(&tokens, "one,jane,,\"system:masters\"\n");
    let server = builder.option("--token-auth-file", &tokens.to_string_lossy()).start();
    let code = |token: &str| server.anonymous().token(token).get(CONFIG_MAPS).code;
    assert_eq!((code("one"), code("two")), (200, 401));
    replace(&tokens, "two,jane,,\"system:masters\"\n");
    wait_for("the new token counts", || (code("two") == 200).then_some(()));
    assert_eq!(code("one"), 401);
    replace(&tokens, "three,,\n");
    server.hangup();
    await_remark(&server.admin(), "token file", "line 1");
    assert_eq!((code("two"), code("three")), (200, 401));
    assert!(!server.await_log(REFUSED).contains("three"), "no token is in the log");
}

#[test]
fn the_servers_own_certificates_are_renewed_before_they_end() {
    let server = Server::builder(edition()).start();
    let admin = server.admin();
    let ends = "apiserver_certificate_expiration_timestamp_seconds{certificate=\"serving\"}";
    let (before, end) = (shown(&admin), sample(&admin, ends).unwrap());
    let load = Load::new().local(&admin, "one").connecting(&admin);
    // One that is good, and ends within a month.
    let own = Authority::load(&server.pki("serving-ca"));
    let (cert, key) = own.server_until("localhost", 10);
    let write = |ending: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = server.pki("serving").with_extension(ending);
        replace(&path, text);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("key", &key);
    write("crt", &cert);
    let short = CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
    let next =
        wait_for("a new certificate is shown", || Some(shown(&admin)).filter(|shown| *shown != before));
    assert_ne!(next, short.to_vec(), "it was renewed, not taken");
    assert!(sample(&admin, ends).unwrap() >= end);
    load.end();
    // A CA that is gone is somebody's mistake, and not made anew.
    let ca = server.pki("client-ca").with_extension("crt");
    let text = std::fs::read_to_string(&ca).unwrap();
    std::fs::remove_file(&ca).unwrap();
    let mut server = server;
    server.allow_log(REFUSED);
    server.hangup();
    await_remark(&admin, "own certificates", "client-ca.crt is missing");
    assert!(!ca.exists());
    replace(&ca, &text);
    await_no_remark(&admin, "own certificates");
}

#[test]
fn a_certificate_that_ends_soon_is_warned_of() {
    let builder = Server::builder(edition()).allow_log("ends in less than 30 days");
    let given = Given::in_folder(builder.folder());
    let authority = Authority::new("serving");
    let (cert, key) = authority.server_until(NAME, 10);
    replace(&given.cert, &cert);
    replace(&given.key, &key);
    given.believe(&[&authority]);
    replace(&given.tokens, "");
    let server = given.start(builder);
    server.await_log("ends in less than 30 days");
    let admin = server.admin();
    await_remark(&admin, "certificate tls.cert_file", "Z, in less than 30 days");
    given.serve_by(&authority);
    await_no_remark(&admin, "certificate tls.cert_file");
}
