//! TLS with the operator's certificate.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::TlsFiles;

/// The TLS configuration of a listener.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl Tls {
    /// Reads the certificate and the key.
    pub fn load(files: &TlsFiles) -> Result<Self, String> {
        let TlsFiles { certificate, key } = files;
        let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
        let chain: Vec<CertificateDer<'static>> = chain.map_err(|error| {
            format!("[serve] tls_certificate: {} contains no PEM certificate: {error}", certificate.display())
        })?;
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| {
            format!("[serve] tls_key: {} contains no PEM private key: {error}", key.display())
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret))
            .map_err(|error| {
                let (certificate, key) = (certificate.display(), key.display());
                format!(
                    "[serve] the key in {key} does not belong to the certificate in {certificate}: {error}"
                )
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) async fn handshake(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.0.accept(stream).await
    }
}
