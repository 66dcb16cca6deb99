//! Serving until a successor does: a program is renewed, and nobody who connects meanwhile is refused.

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::event::ServerEvent;
use super::first_of::first_of;
use super::server::{Server, ShutdownReport};
use super::service_manager::ServiceManager;
use super::until_signal::{keep_alive, serve_until};
use crate::error::Result;
use crate::net::{ListenerSet, this_program};

/// How long a program may take to begin to serve.
const SUCCESSOR_TIMEOUT: Duration = Duration::from_secs(60);

impl Server {
    /// As [`until_signal`](Self::until_signal), and SIGHUP replaces the program without losing a connection: it is
    /// started once more, by the same name and with the same arguments, and inherits the listeners of this set. When
    /// the new process serves, this one stops accepting, answers whom it has, and returns. Where the new one ends
    /// before that, or does not serve within a minute, it is killed, this one goes on, and
    /// [`ServerEvent::SuccessorFailed`](crate::server::ServerEvent) is reported.
    ///
    /// `serving` serves listeners of this set; others, and those of [`serve_per_core`](Self::serve_per_core), are not
    /// handed on. Connections that are open stay with this process. A connection that is idle is closed, as by any
    /// shutdown: clients send a request again that met that.
    ///
    /// With systemd, the new process says that it is the service's now (`MAINPID=`), for which the unit needs
    /// `NotifyAccess=all`. The first process of a container cannot be replaced: the container ends with it.
    ///
    /// # Errors
    /// As [`until_signal`](Self::until_signal).
    ///
    /// # Panics
    /// Outside of a runtime of tokio's.
    pub async fn until_replaced<T>(
        &self,
        mut listeners: ListenerSet,
        serving: impl Future<Output = Result<T>>,
    ) -> Result<ShutdownReport> {
        let mut hangups = signal(SignalKind::hangup())?;
        let manager = ServiceManager::from_env();
        let told = manager.as_ref();
        let beside = async {
            self.state().accepting.wait(0).await;
            if let Some(manager) = told {
                // Before the predecessor ends: systemd must know by then whose process counts. Where it cannot be told,
                // serving goes on.
                let of_service = if listeners.has_predecessor() { main_process() } else { String::new() };
                let _ = manager.notify(&format!("{of_service}READY=1"));
            }
            // Where this fails the predecessor is gone, and has nothing to be told.
            let _ = listeners.ready();
            let replaced = async {
                while hangups.recv().await.is_some() {
                    if self.is_replaced(&listeners, told).await {
                        return;
                    }
                }
                pending::<()>().await;
            };
            first_of(pin!(replaced), pin!(keep_alive(told))).await;
            // A descriptor of a listener that stays open would collect connections for nobody.
            drop(listeners);
        };
        serve_until(self, serving, beside, told).await
    }

    /// Starts a successor, and says whether it serves.
    async fn is_replaced(&self, listeners: &ListenerSet, manager: Option<&ServiceManager>) -> bool {
        if let Some(manager) = manager {
            let _ = manager.reloading();
        }
        match listeners.start_successor(this_program(), SUCCESSOR_TIMEOUT).await {
            Ok(_) => true,
            Err(error) => {
                self.report(&ServerEvent::SuccessorFailed { error });
                if let Some(manager) = manager {
                    let _ = manager.ready();
                }
                false
            }
        }
    }
}

fn main_process() -> String {
    format!("MAINPID={}\n", std::process::id())
}
