//! Who the server says that it is, and whom it believes: keys, certificates and tokens, from the data folder and from
//! files that somebody gave it. Each is read again when its files change and before it ends, and a bad one leaves the
//! one before in use.

use anyhow::Context as _;
use detectviz_auth::authenticate::{Authenticator, TokenTable};
use detectviz_controlplane::ExtensionTrust;
use detectviz_core::RunContext;
use detectviz_core::options::Options;
use detectviz_server::listener::{Credentials as Shown, ListenerTls, PemPair, read_client_cas};
use detectviz_server::pki::{FRONT_PROXY_CLIENT, OWN_NAME, Pki, PkiRequest, ensure_admin_kubeconfig};
use rustls::pki_types::CertificateDer;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use super::compose::Parts;
use super::expiry::Expiries;
use super::reload::watched::Watched;
use crate::data_dir::DataDir;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// How often certificates of the data folder are looked at for their end, though nobody touched them.
const RENEWAL: Duration = Duration::from_hours(1);
/// The CAs of the data folder.
const CAS: [&str; 3] = ["serving-ca", "client-ca", "front-proxy-ca"];
/// What they signed for the server itself.
const LEAVES: [&str; 3] = ["serving", "admin", "front-proxy-client"];

/// All credentials, and who uses them.
pub(super) struct Credentials {
    places: Places,
    own: Watched<Pki>,
    given: Watched<Option<PemPair>>,
    users: Watched<Vec<CertificateDer<'static>>>,
    tokens: Watched<Option<TokenTable>>,
    expiries: Expiries,
    /// The listener's.
    pub(super) tls: Arc<ListenerTls>,
    /// Knows the tokens.
    pub(super) engine: Arc<Authenticator>,
    /// What extension API servers must know to believe this one.
    pub(super) trust: watch::Sender<ExtensionTrust>,
}

/// Where everything is.
struct Places {
    pki: PathBuf,
    request: PkiRequest,
    kubeconfig: PathBuf,
    url: String,
    cert: PathBuf,
    key: PathBuf,
    client_ca: PathBuf,
    tokens: PathBuf,
}

impl Credentials {
    /// Makes or loads keys and certificates, writes the administrator's kubeconfig, and reads the tokens.
    pub(super) fn load(parts: &Parts, data: &DataDir, listener: SocketAddr) -> anyhow::Result<Self> {
        let places = Places::of(&parts.options, data, listener);
        let outcomes = &parts.outcomes;
        let own = Watched::load("own certificates", places.own(), outcomes, || places.read_own())?;
        let given = Watched::load("serving certificate", places.given(), outcomes, || places.read_given())?;
        let users =
            Watched::load("client CA file", given_file(&places.client_ca), outcomes, || places.read_users())?;
        let mut tokens = Watched::load("token file", given_file(&places.tokens), outcomes, || {
            places.read_tokens().map(Some)
        })?;
        let engine = Arc::new(Authenticator::new(tokens.thing.take().unwrap_or_default()));
        let tls = Arc::new(ListenerTls::new(shown(&own.thing, given.thing.as_ref(), &users.thing))?);
        let trust = watch::Sender::new(extension_trust(&own.thing, &users.thing));
        let expiries = Expiries::new(&parts.remarks, &parts.metrics);
        let credentials = Self { places, own, given, users, tokens, expiries, tls, engine, trust };
        credentials.tell_ends();
        Ok(credentials)
    }

    /// The fingerprint of the CA that signs users' certificates.
    pub(super) fn client_ca(&self) -> String {
        self.own.thing.client_ca_fingerprint()
    }

    /// The CA that signs the server's own serving certificate, in PEM.
    pub(super) fn serving_ca(&self) -> String {
        self.own.thing.serving_ca().certificate_pem().to_owned()
    }

    /// Reads again what changes, until `context` ends.
    pub(super) async fn follow(mut self, context: RunContext, mut hangups: watch::Receiver<u64>) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut renewal = Instant::now() + RENEWAL;
        loop {
            let at_once = tokio::select! {
                () = context.cancelled() => return,
                _ = ticks.tick() => false,
                changed = hangups.changed() => match changed {
                    Ok(()) => true,
                    Err(_) => return,
                },
            };
            let renew = at_once || Instant::now() >= renewal;
            if renew {
                renewal = Instant::now() + RENEWAL;
            }
            let looked = tokio::task::spawn_blocking(move || {
                self.look(at_once, renew);
                self
            });
            // It ends with the runtime alone.
            let Ok(looked) = looked.await else { return };
            self = looked;
        }
    }

    fn look(&mut self, at_once: bool, renew: bool) {
        let places = &self.places;
        let own = self.own.look(renew, || places.read_own_again());
        let given = self.given.look(at_once, || places.read_given());
        let users = self.users.look(at_once, || places.read_users());
        if self.tokens.look(at_once, || places.read_tokens().map(Some)) {
            tracing::info!("tokens read again");
        }
        if let Some(tokens) = self.tokens.thing.take() {
            self.engine.set_tokens(tokens);
        }
        if own || given || users {
            self.renew();
        }
        if renew {
            self.tell_ends();
        }
    }

    /// New connections meet the certificates as they are now.
    fn renew(&self) {
        let (own, given, users) = (&self.own.thing, self.given.thing.as_ref(), &self.users.thing);
        match self.tls.replace(shown(own, given, users)) {
            Ok(()) => tracing::info!("certificates read again: new connections meet them"),
            // Each part was tried when it was read.
            Err(fault) => tracing::error!(error = %fault, "use the certificates that were read"),
        }
        let trust = extension_trust(own, users);
        self.trust.send_if_modified(|have| std::mem::replace(have, trust.clone()) != trust);
        self.tell_ends();
    }

    fn tell_ends(&self) {
        let own = &self.own.thing;
        let cas = [own.serving_ca(), own.client_ca(), own.front_proxy_ca()];
        for (name, ca) in CAS.into_iter().zip(cas) {
            self.expiries.tell(name, [ca.certificate()]);
        }
        for (name, leaf) in LEAVES.into_iter().zip([own.serving(), own.admin(), own.front_proxy_client()]) {
            self.expiries.tell(name, leaf.chain().iter().take(1));
        }
        self.expiries.tell("tls.cert_file", self.given.thing.iter().flat_map(|given| &given.chain));
        self.expiries.tell("auth.client_ca_file", &self.users.thing);
    }
}

impl Places {
    fn of(options: &Options, data: &DataDir, listener: SocketAddr) -> Self {
        let mut request = serving(&options.tls.serving_names, listener);
        if is_given(&options.tls.cert_file) {
            request.serving_names.push(OWN_NAME.to_owned());
        }
        Self {
            pki: options.pki_dir(),
            request,
            kubeconfig: data.admin_kubeconfig(),
            url: format!("https://{}", reachable(listener)),
            cert: options.tls.cert_file.clone(),
            key: options.tls.key_file.clone(),
            client_ca: options.auth.client_ca_file.clone(),
            tokens: options.auth.token_file.clone(),
        }
    }

    fn own(&self) -> Vec<PathBuf> {
        let files = |name: &&str| [format!("{name}.crt"), format!("{name}.key")];
        CAS.iter().chain(&LEAVES).flat_map(files).map(|file| self.pki.join(file)).collect()
    }

    fn given(&self) -> Vec<PathBuf> {
        given_file(&self.cert).into_iter().chain(given_file(&self.key)).collect()
    }

    fn read_own(&self) -> anyhow::Result<Pki> {
        let pki = Pki::load_or_create(&self.pki, &self.request).context("make or load the certificates")?;
        // Where another certificate is shown to everybody else, the administrator asks for the one that is known.
        let server_name = is_given(&self.cert).then_some(OWN_NAME);
        ensure_admin_kubeconfig(&self.kubeconfig, &pki, &self.url, server_name)
            .context("write the administrator's kubeconfig")?;
        Ok(pki)
    }

    /// As at the start, but a CA that is missing is somebody's mistake: a new one would lock everybody out.
    fn read_own_again(&self) -> anyhow::Result<Pki> {
        let cas = CAS.iter().flat_map(|name| [format!("{name}.crt"), format!("{name}.key")]);
        if let Some(missing) = cas.map(|file| self.pki.join(file)).find(|file| !file.exists()) {
            anyhow::bail!("{} is missing", missing.display());
        }
        self.read_own()
    }

    fn read_given(&self) -> anyhow::Result<Option<PemPair>> {
        if !is_given(&self.cert) {
            return Ok(None);
        }
        Ok(Some(PemPair::read(&self.cert, &self.key)?))
    }

    fn read_users(&self) -> anyhow::Result<Vec<CertificateDer<'static>>> {
        if is_given(&self.client_ca) { Ok(read_client_cas(&self.client_ca)?) } else { Ok(Vec::new()) }
    }

    fn read_tokens(&self) -> anyhow::Result<TokenTable> {
        if !is_given(&self.tokens) {
            return Ok(TokenTable::default());
        }
        let named = || format!("read the token file {}", self.tokens.display());
        let text = std::fs::read_to_string(&self.tokens).with_context(named)?;
        TokenTable::parse(&text).map_err(|faults| {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("{}: {}", named(), faults.join("; "))
        })
    }
}

fn is_given(file: &Path) -> bool {
    !file.as_os_str().is_empty()
}

fn given_file(file: &Path) -> Vec<PathBuf> {
    is_given(file).then(|| file.to_owned()).into_iter().collect()
}

fn shown(own: &Pki, given: Option<&PemPair>, users: &[CertificateDer<'static>]) -> Shown {
    let leaf = own.serving();
    Shown {
        own: PemPair { chain: leaf.chain().to_vec(), key: leaf.key() },
        given: given.map(PemPair::copy),
        client_cas: own.client_ca().certificates().chain(users).cloned().collect(),
    }
}

/// Built from the same value as what the listener believes.
fn extension_trust(own: &Pki, users: &[CertificateDer<'static>]) -> ExtensionTrust {
    let mut client_ca = own.client_ca().certificate_pem().to_owned();
    client_ca.push_str(&detectviz_server::pki::pem_bundle(users));
    ExtensionTrust {
        client_ca,
        front_proxy_ca: own.front_proxy_ca().certificate_pem().to_owned(),
        front_proxy_names: vec![FRONT_PROXY_CLIENT.to_owned()],
    }
}

/// What the serving certificate must carry: what clients call the server, and where it listens.
fn serving(names: &[String], listener: SocketAddr) -> PkiRequest {
    let ips = names.iter().filter_map(|name| name.parse().ok()).chain([listener.ip()]);
    let serving_ips = ips.filter(|ip: &IpAddr| !ip.is_unspecified()).collect();
    let serving_names = names.iter().filter(|name| name.parse::<IpAddr>().is_err()).cloned().collect();
    PkiRequest { serving_names, serving_ips }
}

/// Where a client on this machine reaches the listener: a wildcard address is no destination.
fn reachable(listener: SocketAddr) -> SocketAddr {
    let mut address = listener;
    match listener {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into())
        }
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            address.set_ip(std::net::Ipv6Addr::LOCALHOST.into())
        }
        _ => {}
    }
    address
}
