use super::Common;
use anyhow::Context as _;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than a ready server ever takes.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks `/readyz` of the configured address, so that a container image needs no other program for its health check.
pub(super) fn healthcheck(common: &Common) -> anyhow::Result<()> {
    let address = reachable(common.load()?.server.listen);
    let status = ask(address).with_context(|| format!("no server answers on {address}"))?;
    anyhow::ensure!(status == "200", "the server on {address} is not ready (status {status})");
    println!("ready");
    Ok(())
}

/// A server that listens on every address is asked on the loopback one.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn ask(address: SocketAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(64 * 1024).read_to_string(&mut answer)?;
    answer.split(' ').nth(1).map(str::to_owned).context("the answer is not HTTP")
}
