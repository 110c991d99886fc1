//! What can be typed. Values are checked with all other options, so that every mistake is reported at once.

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use detectviz_core::options::{Flag, Sources};
use std::path::PathBuf;

/// A Kubernetes-style API server without a cluster, which puts API servers and plugins behind one address
#[derive(Debug, Parser)]
#[command(name = "detectviz", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the API until SIGTERM or SIGINT
    Serve(Box<Serve>),
    /// List the runners and modules of this binary, and whether each would start
    Editions(Shown),
    /// Show the effective configuration and where each value comes from
    Config(Config),
    /// Print the script that lets a shell complete this command line
    #[command(after_help = "Examples:\n  source <(detectviz completions bash)\n  \
                            detectviz completions zsh > ~/.zfunc/_detectviz\n  \
                            detectviz completions fish > ~/.config/fish/completions/detectviz.fish")]
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
    /// Back up, restore, check or compact the embedded store
    #[command(subcommand)]
    Store(Store),
    /// Show version, edition, commit and compiler
    Version(Version),
}

#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// Configuration file, in TOML; `detectviz config` lists all keys
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of keys, certificates and the embedded store [default: ./data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    bind_address: Option<String>,
    /// Port to listen on with TLS; 0 picks a free one [default: 6443]
    #[arg(long, value_name = "PORT")]
    secure_port: Option<String>,
    /// Where objects are kept: embedded, memory or etcd [default: embedded]
    #[arg(long, value_name = "STORAGE")]
    storage: Option<String>,
    #[command(flatten)]
    etcd: Etcd,
    #[command(flatten)]
    credentials: Credentials,
    /// Turn a feature toggle on or off; may be repeated
    #[arg(long, value_name = "NAME=true|false")]
    toggle: Vec<String>,
    /// Folder of backend plugins, each in a folder with its plugin.json
    #[arg(long, value_name = "DIR")]
    plugin_dir: Option<String>,
    /// Controllers that run, of those that a server can do without: *, NAME and -NAME, joined by commas [default: *]
    #[arg(long, value_name = "NAMES", allow_hyphen_values = true)]
    controllers: Option<String>,
    /// Serve Deployments and the other workload kinds, as objects that nothing runs [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    batteries: Option<String>,
    /// How log lines look: text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

/// Objects in etcd.
#[derive(Args, Debug)]
struct Etcd {
    /// Members of the etcd cluster, joined by commas: https://HOST[:PORT], or http:// on this machine
    #[arg(long, value_name = "URLS")]
    etcd_endpoints: Option<String>,
    /// CA that signs etcd's certificates
    #[arg(long, value_name = "FILE")]
    etcd_ca_file: Option<String>,
    /// Certificate shown to etcd
    #[arg(long, value_name = "FILE")]
    etcd_cert_file: Option<String>,
    /// Private key of that certificate
    #[arg(long, value_name = "FILE")]
    etcd_key_file: Option<String>,
    /// What all keys in etcd begin with [default: /detectviz]
    #[arg(long, value_name = "PREFIX")]
    etcd_prefix: Option<String>,
    /// Seconds between compactions of etcd's history; 0 for none [default: 300]
    #[arg(long, value_name = "SECONDS")]
    etcd_compaction_interval: Option<String>,
    /// Seconds that etcd may take over one call [default: 5]
    #[arg(long, value_name = "SECONDS")]
    etcd_request_timeout: Option<String>,
}

/// How the server proves who it is, and what it believes.
#[derive(Args, Debug)]
struct Credentials {
    /// Certificate shown to clients [default: one of the server's own CA]
    #[arg(long, value_name = "FILE")]
    tls_cert_file: Option<String>,
    /// Private key of that certificate
    #[arg(long, value_name = "FILE")]
    tls_private_key_file: Option<String>,
    /// CAs that sign users' certificates, besides the server's own
    #[arg(long, value_name = "FILE")]
    client_ca_file: Option<String>,
    /// Static bearer tokens, a line each: token,user,uid,"group1,group2"
    #[arg(long, value_name = "FILE")]
    token_auth_file: Option<String>,
}

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Config {
    #[command(subcommand)]
    pub(crate) page: Option<ConfigPage>,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigPage {
    /// Print the reference of all options, in Markdown
    Docs,
}

#[derive(Args, Debug)]
pub(crate) struct Shown {
    /// Configuration file, in TOML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print a table for people, or JSON for programs
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct Version {
    /// Print a table for people, or JSON for programs
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// Write everything that is in the store to one file; a server may be running
    ///
    /// Everything that the server acknowledged before the command is in the file, without the history that led to it.
    /// The file holds the objects as they are, Secrets included; only its owner may read it.
    #[command(after_help = "Examples:\n  detectviz store backup --data-dir ./data backup-1\n  \
                            detectviz store backup --data-dir ./data --force -o json nightly")]
    Backup(Backup),
    /// Put the content of a backup in the place of the store; no server may be running
    ///
    /// The replaced store is moved aside, never deleted. The revision is raised beyond any that either store handed out,
    /// so that clients that watch or hold an object of the replaced store list again instead of being misled.
    #[command(after_help = "Examples:\n  detectviz store restore --data-dir ./data backup-1\n  \
                            detectviz store restore --data-dir ./elsewhere backup-1    # look at a backup")]
    Restore(Restore),
    /// Read everything in the store, count it, and name what is damaged; a server may be running
    ///
    /// Ends with exit code 1 when anything is damaged.
    #[command(after_help = "Examples:\n  detectviz store check --data-dir ./data\n  \
                            detectviz store check --data-dir ./data -o json")]
    Check(Stored),
    /// Forget all history and replace the log by a checkpoint; no server may be running
    ///
    /// A running server compacts by itself: this is for making a folder small before it is moved.
    #[command(after_help = "Example:\n  detectviz store compact --data-dir ./data")]
    Compact(Stored),
}

/// Which store, and how to print.
#[derive(Args, Debug)]
pub(crate) struct Stored {
    /// Configuration file, in TOML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The server's data folder [default: ./data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Print a table for people, or JSON for programs
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct Backup {
    #[command(flatten)]
    pub(crate) stored: Stored,
    /// The file to write
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Overwrite the file if it exists
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Restore {
    #[command(flatten)]
    pub(crate) stored: Stored,
    /// The backup to read
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// By how much the revision is raised above the newest one that is found
    #[arg(long, value_name = "N", default_value_t = 1_000_000_000)]
    pub(crate) bump_revision: u64,
}

/// How a command prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
}

impl Serve {
    pub(crate) fn sources(&self) -> Sources {
        let flag = |key: &str, flag: &str, value: &Option<String>| {
            value.as_ref().map(|value| Flag { key: key.into(), flag: flag.into(), value: value.clone() })
        };
        let (etcd, credentials) = (&self.etcd, &self.credentials);
        let flags = [
            flag("data_dir", "--data-dir", &self.data_dir),
            flag("bind_address", "--bind-address", &self.bind_address),
            flag("secure_port", "--secure-port", &self.secure_port),
            flag("storage", "--storage", &self.storage),
            flag("etcd.endpoints", "--etcd-endpoints", &etcd.etcd_endpoints),
            flag("etcd.ca_file", "--etcd-ca-file", &etcd.etcd_ca_file),
            flag("etcd.cert_file", "--etcd-cert-file", &etcd.etcd_cert_file),
            flag("etcd.key_file", "--etcd-key-file", &etcd.etcd_key_file),
            flag("etcd.prefix", "--etcd-prefix", &etcd.etcd_prefix),
            flag(
                "etcd.compaction_interval_seconds",
                "--etcd-compaction-interval",
                &etcd.etcd_compaction_interval,
            ),
            flag("etcd.request_timeout_seconds", "--etcd-request-timeout", &etcd.etcd_request_timeout),
            flag("tls.cert_file", "--tls-cert-file", &credentials.tls_cert_file),
            flag("tls.key_file", "--tls-private-key-file", &credentials.tls_private_key_file),
            flag("auth.client_ca_file", "--client-ca-file", &credentials.client_ca_file),
            flag("auth.token_file", "--token-auth-file", &credentials.token_auth_file),
            flag("plugin_dir", "--plugin-dir", &self.plugin_dir),
            flag("controllers", "--controllers", &self.controllers),
            flag("batteries", "--batteries", &self.batteries),
            flag("log.format", "--log-format", &self.log_format),
        ];
        let toggles = self.toggle.iter().map(|toggle| {
            let (name, value) = toggle.split_once('=').unwrap_or((toggle, ""));
            Flag { key: format!("feature_toggles.{name}"), flag: "--toggle".into(), value: value.into() }
        });
        Sources { config: self.config.clone(), flags: flags.into_iter().flatten().chain(toggles).collect() }
    }
}

impl Stored {
    pub(crate) fn sources(&self) -> Sources {
        let data_dir = self.data_dir.clone();
        let flags = data_dir.map(|value| Flag { key: "data_dir".into(), flag: "--data-dir".into(), value });
        Sources { config: self.config.clone(), flags: flags.into_iter().collect() }
    }
}

impl Shown {
    pub(crate) fn sources(&self) -> Sources {
        Sources { config: self.config.clone(), flags: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_holds_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn flags_become_options() {
        let arguments = Arguments::parse_from([
            "detectviz",
            "serve",
            "--secure-port",
            "0",
            "--toggle",
            "a=true",
            "--toggle",
            "b",
        ]);
        let Command::Serve(serve) = arguments.command else { panic!("serve was parsed as something else") };
        let flags = serve.sources().flags;
        let pairs: Vec<_> = flags.iter().map(|flag| (flag.key.as_str(), flag.value.as_str())).collect();
        assert_eq!(pairs, [("secure_port", "0"), ("feature_toggles.a", "true"), ("feature_toggles.b", "")]);
    }
}
