//! The server of the controller's API, with health and reflection beside it.

use crate::api::Api;
use crate::sets::Sets;
use crate::{ControllerOptions, Error};
use eru_api::FILE_DESCRIPTOR_SET;
use eru_api::controller::controller_server::ControllerServer;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

/// Requests that one connection may have under way.
const REQUESTS_A_CONNECTION: u32 = 256;
/// Silence after which a connection is asked for a sign of life, and how long that may take.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// The address, taken.
///
/// # Errors
/// [`Error::Listen`].
pub async fn listen(options: &ControllerOptions) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source| Error::Listen { address: options.listen, source };
    let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "the controller's API is open to other machines, without authentication");
    }
    Ok((listener, address))
}

/// Serves until shutdown.
///
/// # Errors
/// [`Error::Serve`].
pub async fn serve(
    listener: TcpListener,
    address: SocketAddr,
    sets: Sets,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_not_serving::<ControllerServer<Api>>().await;
    let reflect =
        || tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET);
    let reflection = reflect().build_v1().expect("the descriptor set is the one that was built");
    let reflection_alpha = reflect().build_v1alpha().expect("the descriptor set is the one that was built");
    let leading = sets.clone();
    let server = Server::builder()
        .tcp_nodelay(true)
        .concurrency_limit_per_connection(REQUESTS_A_CONNECTION as usize)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .add_service(ControllerServer::new(Api::new(sets, shutdown.clone())))
        .add_service(health_service)
        .add_service(reflection)
        .add_service(reflection_alpha)
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), shutdown.clone().cancelled_owned());
    let tell = async {
        loop {
            leading.leading().await;
            health.set_serving::<ControllerServer<Api>>().await;
            leading.not_leading().await;
            health.set_not_serving::<ControllerServer<Api>>().await;
        }
    };
    let result = tokio::select! {
        result = server => result,
        () = tell => unreachable!("it tells for ever"),
    };
    result.map_err(|source| Error::Serve { address, source })
}
