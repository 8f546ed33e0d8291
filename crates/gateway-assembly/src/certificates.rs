//! The reload of the listeners' certificate.

use gateway_config::file_watcher::FileWatcher;
use gateway_net::server::ServerTls;
use std::{convert::Infallible, error::Error as _, future};

/// Loads the certificate again when one of its files changes. Never returns.
pub async fn watch_certificate(tls: Option<&ServerTls>) -> Infallible {
    let Some(tls) = tls else { return future::pending().await };
    let mut certificate = FileWatcher::new(&tls.files().certificate);
    let mut key = FileWatcher::new(&tls.files().key);
    loop {
        tokio::select! {
            () = certificate.changed() => {}
            () = key.changed() => {}
        }
        reload_certificate(Some(tls));
    }
}

/// Loads the certificate again, if there is one; if that fails, the one in use stays.
pub fn reload_certificate(tls: Option<&ServerTls>) {
    match tls.map(ServerTls::reload) {
        None => {}
        Some(Ok(())) => tracing::info!(target: "gateway::config", "certificate reloaded"),
        Some(Err(error)) => {
            let cause = error.source().map(ToString::to_string);
            tracing::error!(target: "gateway::config", %error, cause, "failed to reload the certificate; the one in use stays");
        }
    }
}
