//! What a launcher may say: the flags carry the names that Kubernetes gives them, so that a manifest reads the same.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Parser;

/// The command line of the server.
#[derive(Debug, Parser)]
#[command(
    name = "extension-apiserver",
    version,
    about = "Serves flights.example.detectviz.io behind an API aggregator",
    long_about = "Serves flights.example.detectviz.io/v1 from memory, behind an API aggregator.\n\n\
                  Requests are believed only over TLS with a client certificate of the front-proxy CA, and over --unix-socket; the user, \
                  the groups and the extras then come from the X-Remote-* headers. With --kubeconfig that CA, users' \
                  certificates, bearer tokens and permissions are those of the API server that the file names. Stop it \
                  with SIGTERM or SIGINT."
)]
pub(crate) struct Options {
    /// Address to listen on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(crate) bind_address: IpAddr,

    /// Port to listen on; 0 picks a free one, which --write-info tells
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) secure_port: u16,

    /// Unix socket to listen on too, with plain HTTP: whoever may open it is believed like a front proxy
    #[arg(long, value_name = "FILE")]
    pub(crate) unix_socket: Option<PathBuf>,

    /// PEM file with the CA certificates that may sign a front proxy's client certificate
    #[arg(long, value_name = "FILE", required_unless_present = "kubeconfig", conflicts_with = "kubeconfig")]
    pub(crate) requestheader_client_ca_file: Option<PathBuf>,

    /// Kubeconfig of the API server that says whom to believe, whose a token is, and who may do what
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Common name that a front proxy's certificate may carry, repeatable; without it any certificate of the CA will do
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with = "kubeconfig")]
    pub(crate) requestheader_allowed_names: Vec<String>,

    /// PEM file with the serving certificate and its intermediates; without it a CA and a certificate are made at start
    #[arg(long, value_name = "FILE", requires = "tls_private_key_file")]
    pub(crate) tls_cert_file: Option<PathBuf>,

    /// PEM file with the private key of --tls-cert-file
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    pub(crate) tls_private_key_file: Option<PathBuf>,

    /// DNS name that the certificate made at start is valid for, beside localhost; repeatable
    #[arg(long, value_name = "NAME", conflicts_with = "tls_cert_file")]
    pub(crate) tls_server_name: Vec<String>,

    /// File to write {"address","port","caBundle"} to, atomically, once the server listens
    #[arg(long, value_name = "FILE")]
    pub(crate) write_info: Option<PathBuf>,

    /// Start with three flights in the namespace "default"
    #[arg(long)]
    pub(crate) seed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Options::command().debug_assert();
    }

    #[test]
    fn a_certificate_without_its_key_is_refused() {
        let args = ["x", "--requestheader-client-ca-file", "ca.pem", "--tls-cert-file", "crt.pem"];
        assert!(Options::try_parse_from(args).is_err());
    }
}
