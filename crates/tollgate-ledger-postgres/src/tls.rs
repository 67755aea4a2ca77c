//! TLS to the database: always with the server's certificate and name verified.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;
use tollgate_ledger::{LedgerError, Remedy};

use crate::location::Location;

/// What makes a connection's TLS, if it has any.
pub(crate) fn connector(location: &Location) -> Result<MakeRustlsConnect, LedgerError> {
    let mut trusted = RootCertStore::empty();
    match &location.root_certificates {
        Some(path) => {
            let step = || format!("read the certificates to trust in {}", path.display());
            let refused = || LedgerError::new(Remedy::Repair, step());
            for certificate in
                CertificateDer::pem_file_iter(path).map_err(|error| refused().because(error))?
            {
                let certificate = certificate.map_err(|error| refused().because(error))?;
                trusted.add(certificate).map_err(|error| refused().because(error))?;
            }
        }
        // What the system trusts and we cannot read verifies nothing; when nothing is left, connecting says so.
        None => {
            trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the protocol versions that are safe")
        .with_root_certificates(trusted)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
