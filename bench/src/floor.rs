//! The floors: what the same machine does in the same run without Parlour's work.

use crate::sockets::HEARTBEAT;
use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::broadcast;
use tokio_websockets::{Message, ServerBuilder};

/// Bytes that are read or written at once.
const PIECE: usize = 256 * 1024;

/// Serves the bytes of a file at every address, through the same server stack as Parlour: axum on hyper, HTTP/1.1.
pub(crate) fn serve(listen: SocketAddr, file: &Path) -> Result<()> {
    let body = Bytes::from(std::fs::read(file)?);
    let answer = move || {
        let body = body.clone();
        async move { ([(http::header::CONTENT_TYPE, "application/json")], body) }
    };
    serve_router(listen, Router::new().fallback(get(answer)))
}

/// Takes whatever is posted into a file of `folder`, syncs it and lets it go; sends the file named `file` to whoever asks.
pub(crate) fn serve_files(listen: SocketAddr, folder: &Path) -> Result<()> {
    let (to, from) = (folder.to_owned(), folder.join("file"));
    let post = move |body: Body| {
        let to = to.clone();
        async move { take(&to, body).await.map_err(failed) }
    };
    let get = move || {
        let from = from.clone();
        async move { send(&from).await.map_err(failed) }
    };
    serve_router(listen, Router::new().fallback(axum::routing::get(get).post(post)))
}

fn failed(error: std::io::Error) -> (http::StatusCode, String) {
    (http::StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

async fn take(folder: &Path, body: Body) -> std::io::Result<&'static str> {
    let mut file = tokio::fs::File::from_std(tempfile::tempfile_in(folder)?);
    file.set_max_buf_size(PIECE);
    let mut body = body.into_data_stream();
    while let Some(piece) = body.next().await {
        file.write_all(&piece.map_err(std::io::Error::other)?).await?;
    }
    file.flush().await?;
    file.sync_all().await?;
    Ok("{}")
}

async fn send(path: &Path) -> std::io::Result<impl IntoResponse + use<>> {
    let mut file = tokio::fs::File::open(path).await?;
    file.set_max_buf_size(PIECE);
    let length = file.metadata().await?.len();
    let pieces = futures_util::stream::try_unfold(file, |mut file| async move {
        let mut piece = Vec::with_capacity(PIECE);
        let read = file.read_buf(&mut piece).await?;
        Ok::<_, std::io::Error>((read > 0).then_some((piece, file)))
    });
    Ok(([(http::header::CONTENT_LENGTH, length)], Body::from_stream(pieces)))
}

fn serve_router(listen: SocketAddr, router: Router) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(listen).await?;
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
            tokio::spawn(connection);
        }
    })
}

/// Tells every text to all sockets of the same path, and heartbeats to whoever sent them.
pub(crate) fn serve_broadcast(listen: SocketAddr) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(listen).await?;
        let rooms: Rooms = Arc::default();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            // Whoever only tries whether the port is open makes no socket.
            tokio::spawn(broadcast(stream, Arc::clone(&rooms)));
        }
    })
}

type Rooms = Arc<Mutex<BTreeMap<String, broadcast::Sender<Message>>>>;

async fn broadcast(stream: tokio::net::TcpStream, rooms: Rooms) -> Result<(), tokio_websockets::Error> {
    let (request, mut socket) = ServerBuilder::new().accept(stream).await?;
    let room = {
        let mut rooms = rooms.lock().expect("no socket panics");
        rooms.entry(request.uri().path().to_owned()).or_insert_with(|| broadcast::channel(256).0).clone()
    };
    let mut told = room.subscribe();
    loop {
        tokio::select! {
            heard = socket.next() => match heard {
                Some(Ok(message)) if message.as_payload()[..] == *HEARTBEAT => socket.send(message).await?,
                // Nobody else may be there.
                Some(Ok(message)) if message.is_text() => drop(room.send(message)),
                Some(Ok(_)) => {}
                _ => return Ok(()),
            },
            told = told.recv() => match told {
                Ok(message) => socket.send(message).await?,
                Err(_) => return Ok(()),
            }
        }
    }
}

/// Inserts the rows of sends into the tables of a fresh database, `group` sends a commit, each commit synced, for `time`; answers sends a
/// second and the median of a commit in microseconds.
pub(crate) fn bare_sends(database: &Path, pairs: &[(i64, i64)], group: usize, time: Duration) -> Result<(f64, f64)> {
    let mut connection = rusqlite::Connection::open(database)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    let (mut sends, mut commits) = (0_usize, Vec::new());
    let mut next_id: i64 = connection.query_row("select coalesce(max(id), 0) from messages", [], |row| row.get(0))?;
    let mut random = fastrand::Rng::with_seed(7);
    let started = Instant::now();
    while started.elapsed() < time {
        let begun = Instant::now();
        let transaction = connection.transaction()?;
        for _ in 0..group {
            let pair = pairs[1 + random.usize(..pairs.len() - 1)];
            next_id += 1;
            insert_rows(&transaction, pair, next_id, &crate::dataset::text(&mut random))?;
        }
        transaction.commit()?;
        commits.push(begun.elapsed());
        sends += group;
    }
    let seconds = started.elapsed().as_secs_f64();
    commits.sort_unstable();
    Ok((sends as f64 / seconds, commits[commits.len() / 2].as_secs_f64() * 1e6))
}

/// The rows that one send touches, and nothing else: no look-up, no rule, no answer.
fn insert_rows(connection: &rusqlite::Connection, (one, other): (i64, i64), id: i64, text: &str) -> Result<()> {
    let run = |sql: &str, params: &[&dyn rusqlite::ToSql]| connection.prepare_cached(sql)?.execute(params);
    let thread: i64 = connection
        .prepare_cached("select thread_id from direct_threads where low_user_id = ?1 and high_user_id = ?2")?
        .query_row([one.min(other), one.max(other)], |row| row.get(0))?;
    let seq: i64 = connection
        .prepare_cached(
            "update threads set last_seq = last_seq + 1, last_message_at = ?2 where id = ?1 returning last_seq",
        )?
        .query_row([thread, id], |row| row.get(0))?;
    run(
        "insert into messages (thread_id, seq, id, sender_id, created_at, status, text) values (?1, ?2, ?3, ?4, ?5, 0, ?6)",
        &[&thread, &seq, &id, &one, &id, &text],
    )?;
    // What happened: 6 to who sent it, 1 to who receives it.
    for (user, kind) in [(one, 6_i64), (other, 1)] {
        let listed_at: i64 = connection
            .prepare_cached("select listed_at from members where thread_id = ?1 and user_id = ?2")?
            .query_row([thread, user], |row| row.get(0))?;
        run(
            "delete from inbox where user_id = ?1 and last_message_at = ?2 and thread_id = ?3",
            &[&user, &listed_at, &thread],
        )?;
        let row: &[&dyn rusqlite::ToSql] = &[&user, &id, &thread, &one, &other, &id, &1, &id, &0, &text];
        run(
            "insert into inbox (user_id, last_message_at, thread_id, creator_id, other_id, created_at, unread_count,
                 message_id, message_status, text)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            row,
        )?;
        let moved: &[&dyn rusqlite::ToSql] = &[&thread, &user, &seq, &id];
        run(
            "update members set unread_count = ?3, unseen_count = ?3, listed_at = ?4 where thread_id = ?1 and user_id = ?2",
            moved,
        )?;
        let position: i64 = connection
            .prepare_cached(
                "update mailboxes set event_position = event_position + 1 where user_id = ?1 returning event_position",
            )?
            .query_row([user], |row| row.get(0))?;
        run(
            "insert into events (user_id, position, kind, thread_id, seq, created_at) values (?1, ?2, ?6, ?3, ?4, ?5)",
            &[&user, &position, &thread, &seq, &id, &kind],
        )?;
    }
    Ok(())
}
