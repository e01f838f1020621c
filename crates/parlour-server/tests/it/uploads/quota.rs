//! How much one member may store.

use super::{PDF, assert_names, in_a_hurry, pdf, stored, url, wait_for_stored};
use parlour_server::config::{ByteSize, Config};
use parlour_testkit::{TestServer, both_databases};
use std::time::Duration;

async fn server_with(change: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::with(|config| {
        in_a_hurry(config);
        change(config);
    })
    .await
}

#[both_databases]
async fn a_members_files_take_no_more_than_the_quota_in_bytes_and_make_room_when_they_go() {
    let server = server_with(|config| config.files.quota = ByteSize::kib(10)).await;
    let (ann, bob) = server.ann_and_bob().await;
    ann.upload("a.pdf", PDF, &pdf(6_000)).await;
    assert_names(&ann.try_upload("b.pdf", PDF, &pdf(6_000)).await, "file", "quota_exceeded", "a whole file");
    let chunk = ann.try_chunk(None, (0, 2), ("b.pdf", PDF, &pdf(6_000))).await;
    assert_names(&chunk, "file", "quota_exceeded", "a part");
    assert_eq!(stored(&server).len(), 1);
    ann.upload("c.pdf", PDF, &pdf(4_000)).await;
    // Everybody has a quota of their own.
    bob.upload("b.pdf", PDF, &pdf(6_000)).await;
    server.advance(Duration::from_secs(25 * 3600));
    wait_for_stored(&server, 0, "files that were never sent").await;
    server.sign_in(1, "ann").upload("b.pdf", PDF, &pdf(6_000)).await;
}

#[both_databases]
async fn a_member_has_no_more_files_than_the_quota_in_number() {
    let server = server_with(|config| config.files.quota_files = 2).await;
    let (ann, bob) = server.ann_and_bob().await;
    let first = ann.upload("a.pdf", PDF, &pdf(10)).await;
    ann.upload("b.pdf", PDF, &pdf(10)).await;
    assert_names(&ann.try_upload("c.pdf", PDF, &pdf(10)).await, "file", "quota_exceeded", "a third file");
    // Neither a picture of one nor sending it is another one.
    ann.upload_thumbnail(&first, "a.png", "image/png", &super::photo()).await;
    ann.send_file(&bob, &first).await;
    assert_names(&ann.try_upload("c.pdf", PDF, &pdf(10)).await, "file", "quota_exceeded", "a third file");
}

#[both_databases]
async fn a_member_uploads_only_so_many_files_at_a_time() {
    let server = server_with(|config| config.files.max_open_uploads = 2).await;
    let (ann, _) = server.ann_and_bob().await;
    let bytes = pdf(20);
    let begin = async || ann.try_chunk(None, (0, 2), ("a.pdf", PDF, &bytes)).await;
    let first = begin().await.expect(200);
    begin().await.expect(200);
    assert_names(&begin().await, "file", "quota_exceeded", "a third upload");
    let uuid = url(&first, "file_uuid");
    ann.try_chunk(Some(uuid), (1, 2), ("a.pdf", PDF, b"end")).await.expect(200);
    ann.try_done(uuid, "a.pdf", 2).await.expect(200);
    begin().await.expect(200);
    begin().await.refused_field("file", "quota_exceeded");
    ann.upload("whole.pdf", PDF, &bytes).await;
    // What was given up keeps nobody from uploading.
    server.advance(Duration::from_secs(3_601));
    begin().await.expect(200);
}

#[both_databases]
async fn a_file_is_as_large_as_the_community_allows_and_no_larger() {
    let server = server_with(|config| config.files.max_size = ByteSize::kib(10)).await;
    let (ann, _) = server.ann_and_bob().await;
    ann.upload("a.pdf", PDF, &pdf(10 << 10)).await;
    let before = stored(&server).len();
    assert_names(&ann.try_upload("a.pdf", PDF, &pdf((10 << 10) + 1)).await, "file", "file_too_large", "a whole file");
    let part = ann.try_chunk(None, (0, 3), ("a.pdf", PDF, &pdf((10 << 10) + 1))).await;
    assert_names(&part, "file", "file_too_large", "one part");
    let first = ann.try_chunk(None, (0, 3), ("a.pdf", PDF, &pdf(6 << 10))).await.expect(200);
    let second = ann.try_chunk(Some(url(&first, "file_uuid")), (1, 3), ("a.pdf", PDF, &pdf(6 << 10))).await;
    assert_names(&second, "file", "file_too_large", "two parts together");
    assert_eq!(stored(&server).len(), before + 1);
    // As large as the body of anything else may never be.
    let whole = server_with(|_| {}).await;
    let (ann, _) = whole.ann_and_bob().await;
    let answer = ann.try_upload("a.pdf", PDF, &pdf((12 << 20) + 1)).await;
    assert_names(&answer, "file", "file_too_large", "more than 12 MiB");
}

#[both_databases]
async fn only_the_types_that_the_community_wants_are_taken() {
    let server = server_with(|config| config.files.types = vec!["image/png".into()]).await;
    let (ann, _) = server.ann_and_bob().await;
    ann.upload("a.png", "image/png", &super::photo()).await;
    let before = stored(&server);
    assert_names(&ann.try_upload("a.png", "image/png", &pdf(100)).await, "file", "unsupported_type", "a PDF");
    assert_eq!(stored(&server), before);
}
