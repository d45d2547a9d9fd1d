//! The cores of a client, and which of them to ask next.

use crate::{
    Address, ClientOptions,
    credentials::{Credentials, Transport},
};
use parking_lot::Mutex;
use std::time::{Duration, Instant};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

/// How long a core that failed is only asked when all others failed as well. A restarted core is back within seconds.
const REST: Duration = Duration::from_secs(3);
/// Window of a stream and of a connection, in bytes: a snapshot of ten thousand workloads needs few round trips.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// One connection per core, in the order that they were given.
pub(crate) struct Endpoints {
    cores: Vec<Core>,
    health: Mutex<Health>,
}

struct Core {
    address: Address,
    transport: Transport,
}

/// Which cores failed when, and which one answered last.
pub(crate) struct Health {
    failed_at: Vec<Option<Instant>>,
    current: usize,
}

impl Endpoints {
    pub(crate) fn new(addresses: Vec<Address>, credentials: &Credentials, options: &ClientOptions) -> Self {
        let health = Mutex::new(Health::new(addresses.len()));
        let core = |address: Address| {
            let transport = InterceptedService::new(channel(&address, options), credentials.clone());
            Core { address, transport }
        };
        Self { cores: addresses.into_iter().map(core).collect(), health }
    }

    /// The cores in the order in which to ask them.
    pub(crate) fn order(&self) -> Vec<usize> {
        self.health.lock().order(Instant::now())
    }

    pub(crate) fn address(&self, index: usize) -> &Address {
        &self.cores[index].address
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.cores.iter().map(|c| &c.address)
    }

    pub(crate) fn transport(&self, index: usize) -> Transport {
        self.cores[index].transport.clone()
    }

    pub(crate) fn answered(&self, index: usize) {
        self.health.lock().answered(index);
    }

    pub(crate) fn failed(&self, index: usize) {
        self.health.lock().failed(index, Instant::now());
    }
}

impl Health {
    fn new(len: usize) -> Self {
        Self { failed_at: vec![None; len], current: 0 }
    }

    /// First the one that answered last, then the others in turn; those that failed lately come last, oldest failure first.
    fn order(&self, now: Instant) -> Vec<usize> {
        let len = self.failed_at.len();
        let mut order: Vec<usize> = (0..len).map(|i| (self.current + i) % len).collect();
        order.sort_by_key(|i| self.failed_at[*i].filter(|at| now.duration_since(*at) < REST));
        order
    }

    fn answered(&mut self, index: usize) {
        self.failed_at[index] = None;
        self.current = index;
    }

    fn failed(&mut self, index: usize, now: Instant) {
        self.failed_at[index] = Some(now);
        if self.current == index {
            self.current = (index + 1) % self.failed_at.len();
        }
    }
}

/// A connection that comes up with the first call, and again after it broke.
fn channel(address: &Address, options: &ClientOptions) -> Channel {
    Endpoint::from_shared(format!("http://{address}"))
        .expect("an address is the authority of a URL")
        .connect_timeout(options.connect_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(options.keepalive)
        .keep_alive_timeout(options.keepalive)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .connect_lazy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_cores_come_last_until_they_have_rested() {
        let t0 = Instant::now();
        let at = |s| t0 + Duration::from_secs(s);
        let mut health = Health::new(3);
        assert_eq!(health.order(t0), [0, 1, 2]);
        health.failed(0, t0);
        assert_eq!(health.order(t0), [1, 2, 0]);
        health.failed(1, at(1));
        assert_eq!(health.order(at(1)), [2, 0, 1]);
        assert_eq!(health.order(at(3)), [2, 0, 1]);
        health.answered(0);
        assert_eq!(health.order(at(3)), [0, 2, 1]);
        health.failed(0, at(10));
        health.failed(2, at(11));
        assert_eq!(health.order(at(11)), [1, 0, 2]);
    }
}
