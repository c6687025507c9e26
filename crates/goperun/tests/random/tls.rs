//! TLS as go-perun's tests have it: each end has one certificate and knows the other's.

use std::sync::Arc;

use perun_goperun::tcp::Security;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Both directions, with the peer's certificate, and ours with its key in PKCS #8.
pub(crate) fn security(peer: &[u8], own: &[u8], key: &[u8]) -> Security {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(peer.to_vec())).unwrap();
    let roots = Arc::new(roots);
    let chain = || vec![CertificateDer::from(own.to_vec())];
    let key = || PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.to_vec()));
    let client = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots.clone())
        .with_client_auth_cert(chain(), key())
        .unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(chain(), key())
        .unwrap();
    let server_name = "perun-peer".try_into().unwrap();
    Security::Tls { client: Arc::new(client), server_name, server: Arc::new(server) }
}
