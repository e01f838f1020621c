//! An S3-compatible server, for tests of a community that keeps its files in a bucket.

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// A server on a port of its own that keeps buckets in a temporary folder, and ends with this value. It checks signatures; it asks for no TLS.
pub struct S3Server {
    /// Its address.
    pub endpoint: String,
    /// Who may use it.
    pub access_key_id: &'static str,
    /// With which key.
    pub secret_access_key: &'static str,
    folder: TempDir,
    task: JoinHandle<()>,
}

impl S3Server {
    /// The bucket that there is.
    pub const BUCKET: &str = "parlour";

    /// A server with an empty bucket.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join(Self::BUCKET)).expect("a folder for the bucket");
        let (access_key_id, secret_access_key) = ("the-tests-access-key-id", "the-tests-secret-access-key");
        let mut builder = S3ServiceBuilder::new(FileSystem::new(folder.path()).expect("a folder that can be used"));
        builder.set_auth(SimpleAuth::from_single(access_key_id, secret_access_key));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let task = tokio::spawn(serve(listener, builder.build()));
        Self { endpoint, access_key_id, secret_access_key, folder, task }
    }

    /// The names of the objects in the bucket, sorted.
    #[must_use]
    pub fn objects(&self) -> Vec<String> {
        let bucket = self.folder.path().join(Self::BUCKET);
        let mut names = Vec::new();
        let mut folders = vec![bucket.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    names.push(path.strip_prefix(&bucket).map(PathBuf::from).expect("a path in the bucket"));
                }
            }
        }
        names.sort();
        names.into_iter().map(|name| name.display().to_string()).collect()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, service: S3Service) {
    // With this task end its connections.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let service = service.clone();
        connections.spawn(async move {
            // A client that goes away is nothing to tell.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
