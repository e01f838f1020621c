//! A certificate authority of one's own and a certificate for 127.0.0.1, made by openssl.

use crate::programs::{Programs, run};
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

/// Where the certificates and keys are.
#[derive(Debug)]
pub(crate) struct Certificate {
    /// What a client trusts.
    pub(crate) authority: PathBuf,
    /// What the server shows.
    pub(crate) certificate: PathBuf,
    /// What the server keeps.
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// Makes both in `folder`. Two, since strict clients refuse an authority that shows its own certificate as a server.
    pub(crate) fn make(programs: &Programs, folder: &Path) -> Result<Self> {
        let file = |name: &str| folder.join(name);
        let (authority, authority_key) = (file("authority.crt"), file("authority.key"));
        let (certificate, key) = (file("server.crt"), file("server.key"));
        let openssl = || {
            let mut command = programs.other_as_owner(Path::new("openssl"));
            command.args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "30",
            ]);
            command
        };
        let needed = "TLS needs the program openssl, 3.0 or newer";
        let mut own = openssl();
        own.args(["-subj", "/CN=private-postgres authority", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
        run(own.arg("-keyout").arg(&authority_key).arg("-out").arg(&authority)).context(needed)?;
        let mut signed = openssl();
        signed.args(["-subj", "/CN=localhost", "-addext", "basicConstraints=critical,CA:FALSE"]);
        signed.args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "extendedKeyUsage=serverAuth"]);
        signed.arg("-CA").arg(&authority).arg("-CAkey").arg(&authority_key);
        run(signed.arg("-keyout").arg(&key).arg("-out").arg(&certificate)).context(needed)?;
        Ok(Self { authority, certificate, key })
    }
}
