//! The address at which the official page looks for its socket.
//!
//! The page makes the socket's address of the host of the server's, without the port (contract §4.1), so behind `http://127.0.0.1:8080` it
//! looks at port 80. A demo listens there too where the system lets it, and says what to do where not.

use anyhow::Context as _;
use std::io::ErrorKind;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// The port of `ws://`.
const PORT: u16 = 80;

/// Where the socket is served as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum SocketListen {
    /// At port 80 of the address that the demo listens on, if that is of this machine alone and can be had.
    #[default]
    IfAllowed,
    /// There, or the demo does not start.
    At(SocketAddr),
    /// Nowhere else.
    Off,
}

impl SocketListen {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            address => address.parse().map(Self::At).map_err(|_| "must be such as 127.0.0.1:80, or off".to_owned()),
        }
    }
}

/// Listens there, and says where, or what is to be done.
pub(super) async fn listen(
    where_to: SocketListen,
    main: SocketAddr,
    others: &[SocketAddr],
) -> anyhow::Result<Option<TcpListener>> {
    let listen = match where_to {
        // To the network a demo is shown only where it was told to.
        SocketListen::IfAllowed if main.ip().is_loopback() => SocketAddr::new(main.ip(), PORT),
        SocketListen::At(address) => address,
        SocketListen::IfAllowed | SocketListen::Off => return Ok(None),
    };
    if listen == main || others.contains(&listen) {
        return Ok(None);
    }
    match TcpListener::bind(listen).await {
        Ok(listener) => {
            println!("The official page finds its socket at ws://{}/ws/notify\n", listener.local_addr()?);
            Ok(Some(listener))
        }
        Err(error) if where_to == SocketListen::IfAllowed => {
            println!(
                "The official page would look for its socket at {listen}, as it drops the port, and it cannot be listened on:"
            );
            println!("{}\n", remedy(error.kind()));
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| format!("cannot listen on {listen}")),
    }
}

fn remedy(kind: ErrorKind) -> String {
    match kind {
        ErrorKind::PermissionDenied => {
            let program = std::env::current_exe().map_or_else(|_| "parlour".into(), |path| path.display().to_string());
            format!(
                "only a privileged program may. Allow this one with: sudo setcap cap_net_bind_service=+ep '{program}'\n\
                 Or put a reverse proxy there: docs/OPERATIONS.md shows one. Everything else works without."
            )
        }
        ErrorKind::AddrInUse => {
            "another program has it. Let that one pass /ws/ on to this demo, as docs/OPERATIONS.md shows, or stop it. Everything else works \
             without."
                .to_owned()
        }
        _ => "choose another address with --socket-listen. Everything else works without.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_done_depends_on_why_the_port_cannot_be_had() {
        assert!(remedy(ErrorKind::PermissionDenied).contains("setcap cap_net_bind_service=+ep"));
        assert!(remedy(ErrorKind::AddrInUse).contains("another program has it"));
        assert!(remedy(ErrorKind::AddrNotAvailable).contains("--socket-listen"));
    }
}
