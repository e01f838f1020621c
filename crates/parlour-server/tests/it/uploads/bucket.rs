//! Files in a bucket of an S3-compatible service instead of a folder.

use super::{PDF, assert_nothing_is_stored, in_a_hurry, newest_file, pdf, photo, url};
use parlour_server::config::{Config, Secret};
use parlour_testkit::{Member, PART_BYTES, S3Server, TestServer, both_databases};
use std::time::{Duration, Instant};

fn in_bucket(config: &mut Config, s3: &S3Server, prefix: &str) {
    in_a_hurry(config);
    config.files.store = format!("s3://{}{prefix}", S3Server::BUCKET);
    config.s3.endpoint.clone_from(&s3.endpoint);
    config.s3.access_key_id = Secret::new(s3.access_key_id.into());
    config.s3.secret_access_key = Secret::new(s3.secret_access_key.into());
}

async fn people(s3: &S3Server, prefix: &str) -> (TestServer, Member, Member) {
    let server = TestServer::with(|config| in_bucket(config, s3, prefix)).await;
    let (ann, bob) = server.ann_and_bob().await;
    (server, ann, bob)
}

async fn wait_for_objects(s3: &S3Server, count: usize) {
    let deadline = Instant::now() + super::PATIENCE;
    while s3.objects().len() != count {
        assert!(Instant::now() < deadline, "{count} objects are expected, not {:?}", s3.objects());
        tokio::task::yield_now().await;
    }
}

#[both_databases]
async fn a_file_goes_whole_and_in_parts_into_the_bucket_and_comes_back_in_ranges() {
    let s3 = S3Server::start().await;
    let (mut server, ann, bob) = people(&s3, "/community/files").await;
    // Large enough for an upload in pieces.
    let (small, large) = (pdf(PART_BYTES + 1), pdf(6 << 20));
    let mut links = Vec::new();
    for (uuid, bytes) in [
        (ann.upload_in_parts("small.pdf", PDF, &small).await, &small),
        (ann.upload("large.pdf", PDF, &large).await, &large),
    ] {
        let thumbnail = ann.upload_thumbnail(&uuid, "a.png", "image/png", &photo()).await;
        ann.send_file(&bob, &thumbnail).await;
        let file = newest_file(&bob, &ann).await;
        assert_eq!(bob.download(url(&file, "url")).await.expect(200), bytes);
        assert!(!bob.download(url(&file, "thumbnail")).await.expect(200).is_empty());
        let edge = bytes.len() - 3;
        let part = bob.download_with(url(&file, "url"), &[("range", &format!("bytes={edge}-"))]).await;
        assert_eq!(part.expect(206), &bytes[edge..]);
        assert_eq!(bob.download_with(url(&file, "url"), &[("range", "bytes=99999999-")]).await.status, 416);
        links.push(url(&file, "url").rsplit('/').next().unwrap().to_owned());
    }
    wait_for_objects(&s3, 4).await;
    assert!(s3.objects().iter().all(|name| name.starts_with("community/files/")), "{:?}", s3.objects());
    assert_nothing_is_stored(&server, "the data directory holds no file when a bucket does");
    server.restart().await;
    let again = server.visitor().download(&server.url(&format!("/media/pm/{}", links[1]))).await;
    assert_eq!(again.expect(200), large);
}

#[tokio::test]
async fn what_is_due_goes_from_the_bucket() {
    let s3 = S3Server::start().await;
    let (server, ann, bob) = people(&s3, "").await;
    let sent = ann.send_file(&bob, &ann.upload("a.png", "image/png", &photo()).await).await;
    ann.upload("b.pdf", PDF, &pdf(100)).await;
    ann.try_chunk(None, (0, 2), ("c.pdf", PDF, &pdf(100))).await.expect(200);
    wait_for_objects(&s3, 4).await;
    server.advance(Duration::from_secs(25 * 3600));
    wait_for_objects(&s3, 2).await;
    let ann = server.sign_in(1, "ann");
    ann.delete_message(&sent["id"]).await;
    server.advance(Duration::from_secs(25 * 3600));
    wait_for_objects(&s3, 0).await;
}

#[tokio::test]
async fn a_refused_upload_leaves_nothing_in_the_bucket() {
    let s3 = S3Server::start().await;
    let (_server, ann, _) = people(&s3, "/x").await;
    let form = parlour_testkit::Form::new().field("md5", "0".repeat(32)).file("a.pdf", PDF, &pdf(6 << 20));
    ann.post_form("", form).await.refused_field("md5", "md5_mismatch");
    ann.try_upload("a.png", "image/png", &photo()[..40]).await.refused_field("file", "broken_file");
    assert_eq!(s3.objects(), Vec::<String>::new());
}

#[tokio::test]
async fn a_bucket_that_is_away_is_said_so_and_everything_else_goes_on() {
    let s3 = S3Server::start().await;
    let (_server, ann, bob) = people(&s3, "").await;
    let uuid = ann.upload("a.pdf", PDF, &pdf(100)).await;
    let sent = ann.send_file(&bob, &uuid).await;
    drop(s3);
    let refused = ann.try_upload("b.pdf", PDF, &pdf(100)).await;
    refused.refused(503, "unavailable");
    assert!(!refused.header("retry-after").is_empty());
    let status = bob.download(url(&sent["file"], "url")).await.status;
    assert_eq!(status, 503);
    ann.send(&bob, "are you there?").await;
    assert_eq!(bob.inbox().await["count"], 1);
}

#[tokio::test]
async fn a_bucket_that_refuses_the_key_takes_nothing_and_names_no_secret() {
    let s3 = S3Server::start().await;
    let server = TestServer::with(|config| {
        in_bucket(config, &s3, "");
        config.s3.secret_access_key = Secret::new("another-secret-access-key".into());
    })
    .await;
    let (ann, _) = server.ann_and_bob().await;
    let refused = ann.try_upload("b.pdf", PDF, &pdf(100)).await;
    refused.refused(503, "unavailable");
    assert!(!refused.text.contains("another-secret") && !refused.text.contains(s3.access_key_id));
    assert_eq!(s3.objects(), Vec::<String>::new());
}
