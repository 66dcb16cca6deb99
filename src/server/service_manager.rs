//! Messages to the manager that has started this process, as systemd defines them in sd_notify(3): a datagram of
//! assignments to a Unix socket. Written on the standard library alone; the format is promised to stay.

use std::env;
use std::io;
#[cfg(unix)]
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// The service manager that has started this process, where it asks to be told how it goes: systemd for a unit with
/// `Type=notify` or `WatchdogSec=`, and others that set `NOTIFY_SOCKET` in the same way.
///
/// [`Server::until_signal`](crate::Server::until_signal) and
/// [`Server::serve_until_signal`](crate::Server::serve_until_signal) tell it by themselves when the server accepts
/// connections ([`ready`](ServiceManager::ready)), that the runtime still does its work
/// ([`alive`](ServiceManager::alive)), and when the shutdown begins ([`stopping`](ServiceManager::stopping)).
/// This is for programs that serve in another way, and for what else there is to tell.
///
/// Messages are lost where the manager does not take messages of this process (`NotifyAccess=`). No method waits.
///
/// ```no_run
/// use nethttp::server::ServiceManager;
///
/// # fn example() -> std::io::Result<()> {
/// if let Some(manager) = ServiceManager::from_env() {
///     manager.status("loading the index")?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ServiceManager {
    #[cfg(unix)]
    socket: UnixDatagram,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The manager that the environment names: `NOTIFY_SOCKET` has the path of its socket, or its abstract name behind
    /// `@` (Linux), and `WATCHDOG_USEC` says how often it wants to hear of this process, if `WATCHDOG_PID` names no
    /// other. The variables stay, so that programs which this one starts find the manager, too.
    ///
    /// `None` where there is no manager, where it cannot be reached, and on systems without Unix sockets.
    pub fn from_env() -> Option<ServiceManager> {
        let watchdog = watchdog(
            env::var("WATCHDOG_USEC").ok().as_deref(),
            env::var("WATCHDOG_PID").ok().as_deref(),
            std::process::id(),
        );
        ServiceManager::connect(env::var("NOTIFY_SOCKET").ok()?.as_str(), watchdog).ok()
    }

    #[cfg(unix)]
    fn connect(address: &str, watchdog: Option<Duration>) -> io::Result<ServiceManager> {
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&socket_address(address)?)?;
        // A manager that takes nothing must not hold up a thread of the runtime.
        socket.set_nonblocking(true)?;
        Ok(ServiceManager { socket, watchdog })
    }

    #[cfg(not(unix))]
    fn connect(_: &str, _: Option<Duration>) -> io::Result<ServiceManager> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Says that the program serves (`READY=1`): the unit is started, and what depends on it begins to be.
    ///
    /// # Errors
    /// As [`notify`](Self::notify).
    pub fn ready(&self) -> io::Result<()> {
        self.notify("READY=1")
    }

    /// Says that the program ends (`STOPPING=1`).
    ///
    /// # Errors
    /// As [`notify`](Self::notify).
    pub fn stopping(&self) -> io::Result<()> {
        self.notify("STOPPING=1")
    }

    /// Says that the program reads its settings again (`RELOADING=1`); [`ready`](Self::ready) says that it has done
    /// so. With the time that systemd asks for in units of `Type=notify-reload` (Linux).
    ///
    /// # Errors
    /// As [`notify`](Self::notify).
    pub fn reloading(&self) -> io::Result<()> {
        self.notify(&format!("RELOADING=1\n{}", monotonic_time()))
    }

    /// Says what the program does, for people: one line, which `systemctl status` shows.
    ///
    /// # Errors
    /// As [`notify`](Self::notify); [`InvalidInput`](io::ErrorKind::InvalidInput) for more than one line.
    pub fn status(&self, text: &str) -> io::Result<()> {
        if text.contains('\n') {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a status is one line"));
        }
        self.notify(&format!("STATUS={text}"))
    }

    /// Says that the program is alive (`WATCHDOG=1`), to be repeated every
    /// [`watchdog_interval`](Self::watchdog_interval): a manager that hears nothing for longer than twice that ends the
    /// program and starts it again.
    ///
    /// # Errors
    /// As [`notify`](Self::notify).
    pub fn alive(&self) -> io::Result<()> {
        self.notify("WATCHDOG=1")
    }

    /// How often to say [`alive`](Self::alive): half of the time after which the manager takes this process for dead,
    /// as sd_watchdog_enabled(3) advises. `None` where it does not watch.
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Sends a message as it is: assignments of sd_notify(3), a line each.
    ///
    /// # Errors
    /// That of the socket: the manager is gone, or has not read what was sent before
    /// ([`WouldBlock`](io::ErrorKind::WouldBlock)).
    pub fn notify(&self, message: &str) -> io::Result<()> {
        #[cfg(unix)]
        self.socket.send(message.as_bytes())?;
        #[cfg(not(unix))]
        let _ = message;
        Ok(())
    }
}

/// A path, or an abstract name behind `@`. Other kinds of sockets that systemd knows (vsock) are not for services.
#[cfg(unix)]
fn socket_address(address: &str) -> io::Result<std::os::unix::net::SocketAddr> {
    if address.starts_with('/') {
        return std::os::unix::net::SocketAddr::from_pathname(address);
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = address.strip_prefix('@') {
        use std::os::linux::net::SocketAddrExt as _;
        return std::os::unix::net::SocketAddr::from_abstract_name(name);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no address of a Unix socket"))
}

/// Half of what the manager allows. It may have asked another process: one that has started this one.
fn watchdog(micros: Option<&str>, pid: Option<&str>, own_pid: u32) -> Option<Duration> {
    let is_asked = pid.is_none_or(|pid| pid.parse() == Ok(own_pid));
    let micros: u64 = micros?.parse().ok().filter(|&micros| micros > 1 && is_asked)?;
    Some(Duration::from_micros(micros / 2))
}

#[cfg(target_os = "linux")]
fn monotonic_time() -> String {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    format!("MONOTONIC_USEC={}", now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000))
}

#[cfg(not(target_os = "linux"))]
fn monotonic_time() -> String {
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_time_is_the_interval_unless_another_process_is_asked() {
        assert_eq!(watchdog(Some("30000000"), None, 7), Some(Duration::from_secs(15)));
        assert_eq!(watchdog(Some("30000000"), Some("7"), 7), Some(Duration::from_secs(15)));
        for (micros, pid) in [
            (Some("30000000"), Some("8")),
            (Some("30000000"), Some("")),
            (Some("0"), None),
            (Some("1"), None),
            (Some("-3"), None),
            (None, Some("7")),
        ] {
            assert_eq!(watchdog(micros, pid, 7), None, "{micros:?} {pid:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn messages_arrive_at_a_path_and_what_is_no_address_is_refused() {
        let path = std::env::temp_dir().join(format!("nethttp-manager-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        let manager = ServiceManager::connect(path.to_str().unwrap(), None).unwrap();
        manager.ready().unwrap();
        manager.reloading().unwrap();
        manager.status("all is well").unwrap();
        assert_eq!(manager.status("a\nMAINPID=1").unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(received(&socket), "READY=1");
        let reloading = received(&socket);
        #[cfg(target_os = "linux")]
        assert!(reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse::<u64>().unwrap() > 0);
        assert!(reloading.starts_with("RELOADING=1\n"));
        assert_eq!(received(&socket), "STATUS=all is well");
        std::fs::remove_file(&path).unwrap();
        for address in ["", "relative", "vsock:2:1", path.to_str().unwrap()] {
            assert!(ServiceManager::connect(address, None).is_err(), "{address}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn messages_arrive_at_an_abstract_name() {
        use std::os::linux::net::SocketAddrExt as _;
        let name = format!("nethttp-manager-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        ServiceManager::connect(&format!("@{name}"), None).unwrap().alive().unwrap();
        assert_eq!(received(&socket), "WATCHDOG=1");
    }

    #[cfg(unix)]
    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let len = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..len]).into_owned()
    }
}
