//! TLS as go-perun's party makes it: each end has one certificate and knows the other's.

use std::sync::Arc;

use perun_goperun::tcp::Security;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::party::Keys;
use crate::trouble::Result;

pub(crate) fn security(keys: &Keys) -> Result<Security> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(keys.peer.to_vec()))?;
    let roots = Arc::new(roots);
    let chain = || vec![CertificateDer::from(keys.own.to_vec())];
    let key = || PrivateKeyDer::from(PrivatePkcs8KeyDer::from(keys.key.to_vec()));
    let client = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots.clone())
        .with_client_auth_cert(chain(), key())?;
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build();
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier.map_err(|error| error.to_string())?)
        .with_single_cert(chain(), key())?;
    let server_name = "perun-peer".try_into().map_err(|_| "no server's name")?;
    Ok(Security::Tls { client: Arc::new(client), server_name, server: Arc::new(server) })
}
