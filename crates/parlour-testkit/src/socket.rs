use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderName, HeaderValue, Uri};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_websockets::upgrade::Response;
use tokio_websockets::{ClientBuilder, Limits, Message, WebSocketStream};

/// The official client's heartbeat.
pub const HEARTBEAT: &str = "--1a61c1de89b75ddfbb684b8d224ee3ae--";

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a socket heard.
#[derive(Clone, PartialEq, Debug)]
pub enum Heard {
    /// The heartbeat.
    Heartbeat,
    /// Any other text, which is JSON.
    Json(Value),
    /// The server closed with this code, for this reason.
    Closed(u16, String),
    /// The connection ended without a closing frame.
    Lost,
}

impl Heard {
    /// The JSON.
    #[track_caller]
    #[must_use]
    pub fn json(self) -> Value {
        match self {
            Self::Json(value) => value,
            other => panic!("no JSON came but {other:?}"),
        }
    }
}

/// A websocket client.
pub struct WsClient {
    socket: WebSocketStream<TcpStream>,
    /// What the server answered to the handshake.
    pub response: Response,
}

impl WsClient {
    /// Opens a socket on a path with these headers.
    ///
    /// # Errors
    /// What the server answered instead, or what kept it from answering.
    pub async fn open(
        address: SocketAddr,
        path: &str,
        headers: &[(HeaderName, &str)],
    ) -> Result<Self, tokio_websockets::Error> {
        let uri: Uri = format!("ws://{address}{path}").parse().expect("an address");
        let mut builder = ClientBuilder::from_uri(uri).limits(Limits::unlimited());
        for (name, value) in headers {
            builder = builder.add_header(name.clone(), HeaderValue::from_str(value).expect("a header"))?;
        }
        let stream = TcpStream::connect(address).await.expect("a server that listens");
        let (socket, response) = builder.connect_on(stream).await?;
        Ok(Self { socket, response })
    }

    /// The next thing that the socket hears.
    pub async fn next(&mut self) -> Heard {
        self.next_by(Instant::now() + PATIENCE).await
    }

    /// The next thing, which must come by then: heartbeats come for ever, and are not what a test waits for.
    async fn next_by(&mut self, deadline: Instant) -> Heard {
        loop {
            let Ok(next) = timeout_at(deadline, self.socket.next()).await else { panic!("nothing came") };
            let Some(Ok(message)) = next else { return Heard::Lost };
            if let Some((code, reason)) = message.as_close() {
                return Heard::Closed(code.into(), reason.to_owned());
            }
            match message.as_text() {
                Some(HEARTBEAT) => return Heard::Heartbeat,
                Some(text) => return Heard::Json(serde_json::from_str(text).expect("a text is JSON")),
                None => assert!(!message.is_binary(), "bytes came"),
            }
        }
    }

    /// The next JSON, heartbeats aside.
    pub async fn json(&mut self) -> Value {
        self.other().await.json()
    }

    /// The next thing that is no heartbeat.
    pub async fn other(&mut self) -> Heard {
        self.other_by(Instant::now() + PATIENCE).await
    }

    async fn other_by(&mut self, deadline: Instant) -> Heard {
        loop {
            match self.next_by(deadline).await {
                Heard::Heartbeat => {}
                other => return other,
            }
        }
    }

    /// The next JSON of this `type`, whatever comes before it.
    pub async fn event(&mut self, name: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let event = self.other_by(deadline).await.json();
            if event["type"] == name {
                return event;
            }
        }
    }

    /// Sends a text.
    pub async fn say(&mut self, text: &str) {
        // The server may have closed meanwhile, and what then is heard says why.
        drop(self.socket.send(Message::text(text.to_owned())).await);
    }

    /// Sends any message.
    pub async fn send(&mut self, message: Message) {
        drop(self.socket.send(message).await);
    }

    /// Sends bytes past the protocol.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        use tokio::io::AsyncWriteExt as _;
        drop(self.socket.get_mut().write_all(bytes).await);
    }

    /// Closes the socket and waits until the server has agreed.
    pub async fn close(mut self) {
        drop(self.socket.close().await);
    }
}
