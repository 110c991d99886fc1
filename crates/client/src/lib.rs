//! Every outgoing connection of the server: one policy decides what may be dialled, one place dials.
//!
//! ```text
//! Cluster (endpoints, balancing, breaker) →
//! Transport (pool, HTTP/1.1 and HTTP/2), grpc → TLS → Dialer (resolve once) → DialPolicy (may we?) → socket
//! ```
//!
//! Nothing else in the workspace may open a connection: `clippy.toml` bans `TcpStream::connect`.

pub mod cluster;
mod connector;
pub mod dial;
pub mod grpc;
pub mod policy;
mod stream;
mod target;
pub mod tls;
pub mod transport;

pub use cluster::{Class, Cluster, ClusterError, ClusterOptions};
pub use dial::{DialError, Dialer, Resolve};
pub use grpc::GrpcOptions;
pub use policy::{DialPolicy, Refused};
pub use target::{Address, Target, TargetError};
pub use tls::{ClientIdentity, TlsError, TlsOptions};
pub use transport::{Failed, Phase, Transport, TransportError, TransportOptions, Tunnel, Upgraded};
