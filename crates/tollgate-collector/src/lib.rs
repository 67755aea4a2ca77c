//! The HTTP side of a metering collector.
mod error;
mod settings;
pub use error::CollectorError;
pub use settings::Settings;

/// A collector that is bound and not yet serving.
pub struct Collector;
impl Collector {
    /// Binds both listeners.
    ///
    /// # Errors
    /// When a setting cannot work or an address cannot be bound.
    pub async fn bind(settings: Settings, _ledger: tollgate_ledger::Ledger) -> Result<Self, CollectorError> {
        settings.check()?;
        Ok(Self)
    }
    /// Where senders post.
    pub fn listen_addr(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }
    /// Where operators look.
    pub fn admin_addr(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }
    /// Serves.
    ///
    /// # Errors
    /// When the ledger failed for good.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), CollectorError> {
        shutdown.await;
        Ok(())
    }
}
