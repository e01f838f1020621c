//! PostgreSQL goes away and comes back, as a server sees it whose way there is closed and opened again.

use parlour_testkit::{Schema, TestServer};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// How long anything may take that is expected to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A port that leads to the server of the tests while it is open.
struct Way {
    own: SocketAddr,
    target: String,
    open: Option<JoinHandle<()>>,
}

impl Way {
    async fn to(target: &str) -> Self {
        let mut way = Self { own: SocketAddr::from(([127, 0, 0, 1], 0)), target: target.to_owned(), open: None };
        way.open().await;
        way
    }

    async fn open(&mut self) {
        let listener = TcpListener::bind(self.own).await.expect("the port as before");
        self.own = listener.local_addr().expect("an address");
        let target = self.target.clone();
        self.open = Some(tokio::spawn(async move {
            // Dropped with the listener, and every connection with it.
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let target = target.clone();
                connections.spawn(async move {
                    let mut server = TcpStream::connect(target).await?;
                    copy_bidirectional(&mut client, &mut server).await
                });
            }
        }));
    }

    async fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.abort();
            // Ended by the abort.
            drop(open.await);
        }
    }
}

/// The address with another host and port in it, and those that were.
fn through(address: &str, port: u16) -> (String, String) {
    let start = address.rfind('@').expect("a user in the address") + 1;
    let end = address[start..].find('/').map_or(address.len(), |slash| start + slash);
    let host = &address[start..end];
    let target = if host.contains(':') { host.to_owned() } else { format!("{host}:5432") };
    (format!("{}127.0.0.1:{port}{}", &address[..start], &address[end..]), target)
}

async fn until_ready_answers(server: &TestServer, status: u16) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = server.visitor().get("/readyz").await;
        if answer.status.as_u16() == status {
            return;
        }
        assert!(Instant::now() < deadline, "/readyz still answers {}", answer.status);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_it_requests_are_refused_for_now_and_with_it_they_are_answered() {
    let schema = Schema::create();
    let address = schema.to_string();
    let (_, target) = through(&address, 0);
    let mut way = Way::to(&target).await;
    let (database, _) = through(&address, way.own.port());
    let server = TestServer::with(|config| {
        config.storage.database = database;
        config.postgres.connections = 4;
    })
    .await;
    let (ann, bob) = server.ann_and_bob().await;
    ann.send(&bob, "before").await;
    for round in 0..3 {
        assert_eq!(server.visitor().get("/readyz").await.status, 200);
        way.close().await;
        until_ready_answers(&server, 503).await;
        for refused in
            [server.visitor().get("/readyz").await, bob.get("/api/v2/pm/").await, ann.try_send(&bob, "lost").await]
        {
            refused.refused(503, "unavailable");
            assert_eq!(refused.header("retry-after"), "1");
        }
        assert_eq!(server.visitor().get("/healthz").await.status, 200);
        way.open().await;
        until_ready_answers(&server, 200).await;
        ann.send(&bob, "after").await;
        assert_eq!(bob.inbox().await["results"][0]["unread_count"], round + 2);
    }
}
