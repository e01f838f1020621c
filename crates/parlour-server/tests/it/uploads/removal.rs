//! What is due goes, and nothing else: unfinished uploads, files that were never sent, files of messages that are gone.

use super::{PDF, ann_and_bob, assert_names, assert_nothing_is_stored, pdf, photo, stored, url, wait_for_stored};
use parlour_testkit::both_databases;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);
const SECOND: Duration = Duration::from_secs(1);

#[both_databases]
async fn an_unfinished_upload_goes_a_day_after_its_last_part() {
    let (server, ann, _) = ann_and_bob().await;
    let answer = ann.try_chunk(None, (0, 3), ("a.pdf", PDF, &pdf(1_000))).await.expect(200);
    let uuid = url(&answer, "file_uuid").to_owned();
    server.advance(DAY - SECOND);
    let ann = server.sign_in(1, "ann");
    ann.try_chunk(Some(&uuid), (1, 3), ("a.pdf", PDF, b"more")).await.expect(200);
    server.advance(DAY - SECOND);
    let ann = server.sign_in(1, "ann");
    ann.try_chunk(Some(&uuid), (2, 3), ("a.pdf", PDF, b"most")).await.expect(200);
    assert_eq!(stored(&server).len(), 3);
    server.advance(DAY + SECOND);
    wait_for_stored(&server, 0, "an unfinished upload").await;
    let ann = server.sign_in(1, "ann");
    assert_names(&ann.try_done(&uuid, "a.pdf", 3).await, "uuid", "does_not_exist", "done after its end");
    let late = ann.try_chunk(Some(&uuid), (1, 3), ("a.pdf", PDF, b"late")).await;
    assert_names(&late, "uuid", "does_not_exist", "a part after its end");
    assert_nothing_is_stored(&server, "a late part");
}

#[both_databases]
async fn a_file_that_is_never_sent_goes_after_a_day_with_its_picture() {
    let (server, ann, bob) = ann_and_bob().await;
    let uuid = ann.upload("a.pdf", PDF, &pdf(1_000)).await;
    let thumbnail = ann.upload_thumbnail(&uuid, "a.png", "image/png", &photo()).await;
    let upload = ann.try_upload("b.png", "image/png", &photo()).await.expect(200);
    assert_eq!(stored(&server).len(), 4);
    server.advance(DAY - SECOND);
    let ann = server.sign_in(1, "ann");
    // It is there until then: the clock alone makes it due.
    assert_eq!(url(&ann.try_done(&uuid, "a.pdf", 1).await.expect(200), "file_uuid"), uuid);
    server.advance(2 * SECOND);
    wait_for_stored(&server, 0, "files that were never sent").await;
    for uuid in [&uuid, &thumbnail] {
        assert_names(&ann.try_send_file(&bob, uuid).await, "file_uuid", "does_not_exist", "sent after its end");
    }
    assert_eq!(ann.download(url(&upload, "file_url")).await.status, 404);
}

#[both_databases]
async fn a_file_that_was_sent_stays_and_goes_with_its_last_message() {
    let (server, ann, bob) = ann_and_bob().await;
    let bytes = pdf(1_000);
    let uuid = ann.upload("a.pdf", PDF, &bytes).await;
    let thumbnail = ann.upload_thumbnail(&uuid, "a.png", "image/png", &photo()).await;
    let (first, second) = (ann.send_file(&bob, &thumbnail).await, ann.send_file(&bob, &uuid).await);
    let later = ann.upload("later.pdf", PDF, &pdf(10)).await;
    server.advance(30 * DAY);
    wait_for_stored(&server, 2, "a file that was sent, and its picture").await;
    let ann = server.sign_in(1, "ann");
    let bob = server.sign_in(2, "bob");
    assert_names(&ann.try_send_file(&bob, &later).await, "file_uuid", "does_not_exist", "never sent");
    assert_eq!(bob.download(url(&super::newest_file(&bob, &ann).await, "url")).await.expect(200), bytes);
    ann.delete_message(&first["id"]).await;
    server.advance(2 * DAY);
    let (ann, bob) = (server.sign_in(1, "ann"), server.sign_in(2, "bob"));
    let file = super::newest_file(&bob, &ann).await;
    assert_eq!(bob.download(url(&file, "url")).await.expect(200), bytes, "the second message shows it still");
    assert_eq!(stored(&server).len(), 2);
    ann.delete_message(&second["id"]).await;
    server.advance(2 * DAY);
    wait_for_stored(&server, 0, "a file whose messages are hidden").await;
}

#[both_databases]
async fn a_file_goes_with_a_message_that_is_deleted_in_its_first_minute() {
    let (server, ann, bob) = ann_and_bob().await;
    let uuid = ann.upload("a.png", "image/png", &photo()).await;
    let sent = ann.send_file(&bob, &uuid).await;
    ann.delete_message(&sent["id"]).await;
    server.advance(2 * DAY);
    wait_for_stored(&server, 0, "a file whose message is deleted").await;
}

#[both_databases]
async fn a_thread_that_one_has_deleted_keeps_its_files_for_the_other() {
    let (server, ann, bob) = ann_and_bob().await;
    let bytes = pdf(1_000);
    let uuid = ann.upload("a.pdf", PDF, &bytes).await;
    ann.send_file(&bob, &uuid).await;
    ann.delete("/api/v2/pm/?user=2").await.expect(204);
    server.advance(3 * DAY);
    let (ann, bob) = (server.sign_in(1, "ann"), server.sign_in(2, "bob"));
    let other = ann.upload("due.pdf", PDF, &pdf(10)).await;
    server.advance(DAY + SECOND);
    wait_for_stored(&server, 1, "a file of a thread that one has deleted").await;
    let bob_now = server.sign_in(2, "bob");
    assert_eq!(bob.download(url(&super::newest_file(&bob_now, &ann).await, "url")).await.expect(200), bytes);
    drop(other);
}

#[both_databases]
async fn a_picture_that_another_replaced_goes() {
    let (server, ann, bob) = ann_and_bob().await;
    let uuid = ann.upload("a.pdf", PDF, &pdf(1_000)).await;
    let first = ann.upload_thumbnail(&uuid, "a.png", "image/png", &photo()).await;
    let second = ann.upload_thumbnail(&uuid, "b.png", "image/png", &photo()).await;
    assert_ne!(first, second);
    // Either stands for the file.
    for thumbnail in [&first, &second] {
        assert_eq!(ann.send_file(&bob, thumbnail).await["file"]["uuid"], uuid);
    }
    server.advance(2 * DAY);
    wait_for_stored(&server, 2, "a file and its second picture").await;
}
