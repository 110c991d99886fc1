//! The language that a host and its backend plugins speak: a handshake line on stdout, then gRPC on a socket.
//!
//! * [`handshake`]: how a plugin is started and how it tells where it listens (the go-plugin way);
//! * [`health`], [`goplugin`]: the housekeeping services that every plugin has;
//! * [`proto`]: the services and messages of the plugin protocol `pluginv2` itself;
//! * [`frame`]: data frames in their JSON form, for plugins that answer queries.
//!
//! Both ends are here, clients for the host and server traits for plugins, and nothing else of this project is:
//! a plugin needs this crate only. The messages are generated from `proto/*.proto` and committed; after a
//! change there run `cargo run -p detectviz-codegen`. Bytes are [`bytes::Bytes`] and maps are ordered, so that
//! frames are passed on without a copy and equal settings are equal bytes.

pub mod frame;
pub mod handshake;
mod redact;

pub use handshake::{Address, Handshake, HandshakeError};

/// Wraps one generated file: its lints are the generator's business, and not every field has a comment.
macro_rules! generated {
    ($(#[$doc:meta])* $name:ident, $file:literal) => {
        $(#[$doc])*
        #[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated code")]
        pub mod $name {
            include!(concat!("generated/", $file));
        }
    };
}

generated! {
    /// Package `pluginv2`: `Data`, `Diagnostics`, `Resource`, `Stream`, `AdmissionControl`, `ResourceConversion`.
    proto, "pluginv2.rs"
}
generated! {
    /// Package `grpc.health.v1`: is the plugin alive? Ask for [`handshake::HEALTH_SERVICE`].
    health, "grpc.health.v1.rs"
}
generated! {
    /// Package `plugin`: go-plugin's own services, to stop the process and to carry its output.
    goplugin, "plugin.rs"
}
