use reqwest::{Client, ClientBuilder};

/// A client of plain HTTP.
#[must_use]
pub fn http_client() -> Client {
    http_client_builder().build().expect("a client")
}

/// The same, to be told more. Where anything in a process speaks TLS, every client must be told by which library, whether it ever does or not.
pub fn http_client_builder() -> ClientBuilder {
    // Another test may have chosen already.
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder()
}
