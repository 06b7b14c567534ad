//! Whom a device trusts.

use std::io;
use std::sync::Arc;

use tokio::sync::OnceCell;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// How TLS is spoken, and whose certificates are believed. Clones share what was loaded.
#[derive(Clone, Debug)]
pub struct Tls {
    trust: Arc<Trust>,
}

#[derive(Debug)]
enum Trust {
    /// The roots of the platform, which are read when they are needed first, and these.
    Platform(Vec<CertificateDer<'static>>, OnceCell<Arc<ClientConfig>>),
    Custom(Arc<ClientConfig>),
}

impl Tls {
    /// The authorities that the platform trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` replace them.
    pub fn platform() -> Self {
        Self::with_roots(Vec::new())
    }

    /// Also these authorities, in DER, for a server that has its certificate from none that the platform knows.
    pub fn with_roots(roots: Vec<CertificateDer<'static>>) -> Self {
        Self { trust: Arc::new(Trust::Platform(roots, OnceCell::new())) }
    }

    /// Whatever rustls can do: certificates of devices, pinned keys, other cryptography.
    pub fn custom(config: Arc<ClientConfig>) -> Self {
        Self { trust: Arc::new(Trust::Custom(config)) }
    }

    pub(super) async fn config(&self) -> io::Result<Arc<ClientConfig>> {
        match &*self.trust {
            Trust::Custom(config) => Ok(Arc::clone(config)),
            Trust::Platform(roots, loaded) => {
                loaded.get_or_try_init(|| load(roots.clone())).await.cloned()
            }
        }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self::platform()
    }
}

async fn load(roots: Vec<CertificateDer<'static>>) -> io::Result<Arc<ClientConfig>> {
    let loading = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs);
    let native = loading.await.map_err(io::Error::other)?;
    for error in &native.errors {
        tracing::warn!(%error, "a certificate of the platform cannot be read");
    }
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root).map_err(io::Error::other)?;
    }
    // Platforms have certificates that are of no use; they must not keep the others from being used.
    store.add_parsable_certificates(native.certs);
    configure(store).map_err(io::Error::other)
}

fn configure(store: RootCertStore) -> Result<Arc<ClientConfig>, rustls::Error> {
    // The provider is named since a program may have others.
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.with_root_certificates(store).with_no_client_auth()))
}
