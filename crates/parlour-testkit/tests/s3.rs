//! The S3-compatible server of the tests does what Parlour asks of one, as the same client asks it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectStore as _, ObjectStoreExt as _, PutPayload, RetryConfig};
use parlour_testkit::S3Server;

fn client(server: &S3Server, secret_access_key: &str) -> AmazonS3 {
    // Whichever test is first chooses for all.
    drop(rustls::crypto::ring::default_provider().install_default());
    AmazonS3Builder::new()
        .with_endpoint(&server.endpoint)
        .with_allow_http(true)
        .with_bucket_name(S3Server::BUCKET)
        .with_region("us-east-1")
        .with_access_key_id(server.access_key_id)
        .with_secret_access_key(secret_access_key)
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
        .build()
        .unwrap()
}

#[tokio::test]
async fn an_object_is_put_read_in_ranges_listed_and_deleted() {
    let server = S3Server::start().await;
    let store = client(&server, server.secret_access_key);
    let name = Path::from("some/prefix/ab/abcd-1");
    store.put(&name, PutPayload::from_static(b"0123456789")).await.unwrap();
    store.put(&Path::from("elsewhere"), PutPayload::from_static(b"")).await.unwrap();
    assert_eq!(store.get(&name).await.unwrap().bytes().await.unwrap(), &b"0123456789"[..]);
    assert_eq!(store.get_range(&name, 3..7).await.unwrap(), &b"3456"[..]);
    let options = GetOptions { range: Some((8..10).into()), ..GetOptions::default() };
    assert_eq!(store.get_opts(&name, options).await.unwrap().bytes().await.unwrap(), &b"89"[..]);
    assert_eq!(store.head(&name).await.unwrap().size, 10);
    let listed: Vec<_> = store.list(Some(&Path::from("some/prefix"))).try_collect().await.unwrap();
    assert_eq!(listed.iter().map(|one| (&one.location, one.size)).collect::<Vec<_>>(), [(&name, 10)]);
    assert_eq!(store.list(None).try_collect::<Vec<_>>().await.unwrap().len(), 2);
    assert_eq!(server.objects(), ["elsewhere", "some/prefix/ab/abcd-1"]);
    store.put(&name, PutPayload::from_static(b"again")).await.unwrap();
    assert_eq!(store.get(&name).await.unwrap().bytes().await.unwrap(), &b"again"[..]);
    store.delete(&name).await.unwrap();
    assert!(matches!(store.head(&name).await, Err(Error::NotFound { .. })));
    assert!(matches!(store.get(&name).await, Err(Error::NotFound { .. })));
    assert_eq!(server.objects(), ["elsewhere"]);
    // Whoever deletes twice is not told so.
    store.delete(&name).await.unwrap();
}

#[tokio::test]
async fn an_upload_in_pieces_is_there_when_it_is_complete_and_not_before() {
    let server = S3Server::start().await;
    let store = client(&server, server.secret_access_key);
    let name = Path::from("large");
    let pieces = [Bytes::from(vec![1; 5 << 20]), Bytes::from(vec![2; 5 << 20]), Bytes::from_static(b"end")];
    let mut upload = store.put_multipart(&name).await.unwrap();
    for piece in &pieces {
        upload.put_part(piece.clone().into()).await.unwrap();
    }
    assert!(matches!(store.head(&name).await, Err(Error::NotFound { .. })));
    upload.complete().await.unwrap();
    assert_eq!(store.get(&name).await.unwrap().bytes().await.unwrap(), pieces.concat());
    let edge = (5 << 20) - 1..(5 << 20) + 1;
    assert_eq!(store.get_range(&name, edge).await.unwrap(), &[1, 2][..]);
    let mut given_up = store.put_multipart(&Path::from("given-up")).await.unwrap();
    given_up.put_part(pieces[0].clone().into()).await.unwrap();
    given_up.abort().await.unwrap();
    assert_eq!(server.objects(), ["large"]);
}

#[tokio::test]
async fn another_key_opens_nothing() {
    let server = S3Server::start().await;
    let store = client(&server, "another-secret-access-key");
    let refused = store.put(&Path::from("x"), PutPayload::from_static(b"x")).await;
    assert!(refused.is_err(), "{refused:?}");
    assert!(server.objects().is_empty());
}
