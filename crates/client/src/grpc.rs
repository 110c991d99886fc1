//! gRPC to one address of the configuration: a channel is one HTTP/2 connection that is made when it is first needed, and
//! made again when it broke. What is sent on a broken connection fails; whether to send it again is the caller's to say.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tonic::transport::{Channel, Endpoint};

use crate::connector::{Connector, Settings};
use crate::dial::Dialer;
use crate::target::{Target, TargetError};
use crate::transport::secure;

/// gRPC is HTTP/2 and nothing else.
const ALPN_HTTP2: &[u8] = b"h2";
/// Connections of one channel at once: the one in use, and one that is being closed.
const CONNECTIONS: usize = 2;
/// What a server may send before it is read: of one stream, and of all.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// The bounds of one channel.
#[derive(Clone, Copy, Debug)]
pub struct GrpcOptions {
    /// How long the TLS handshake may take, after the dialer's own limit.
    pub connect_timeout: Duration,
    /// How often the server is asked for a sign of life while a call is under way. Servers of grpc-go end a connection
    /// that asks more often than every 5 s.
    pub keep_alive_interval: Duration,
    /// How long the sign may take before the connection counts as dead.
    pub keep_alive_timeout: Duration,
}

impl Default for GrpcOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            keep_alive_interval: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(5),
        }
    }
}

/// A channel to `target` that dials by `dialer`. Must be called within a runtime.
///
/// # Errors
/// [`TargetError`] when host or TLS options cannot be used.
pub fn channel(target: Target, dialer: Dialer, options: &GrpcOptions) -> Result<Channel, TargetError> {
    let host = || TargetError::Host { host: target.address.to_string() };
    let uri = format!("http://{}", target.address.authority()?);
    let endpoint = Endpoint::from_shared(uri).map_err(|_| host())?;
    let connector = Connector(Arc::new(Settings {
        tls: target.tls.as_ref().map(|options| secure(options, ALPN_HTTP2)).transpose()?,
        address: target.address,
        dialer,
        places: Arc::new(Semaphore::new(CONNECTIONS)),
        limit: options.connect_timeout,
    }));
    let endpoint = endpoint
        .http2_keep_alive_interval(options.keep_alive_interval)
        .keep_alive_timeout(options.keep_alive_timeout)
        .keep_alive_while_idle(false)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    Ok(endpoint.connect_with_connector_lazy(connector))
}
