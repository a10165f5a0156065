//! Uploads on a real disk, and one suite for each store.

use std::io::Read as _;
use std::path::Path;

use bytes::Bytes;
use futures_util::stream;
use url::Url;

use sluice_fetch::endpoint::Endpoint;
use sluice_test_support::moto::{BUCKET, Moto};

use crate::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest of the picture";

fn rules() -> UploadRules {
    let types = vec!["image/png".to_owned(), "text/plain".to_owned()];
    UploadRules { files_max: 2, bytes_max: 1_000, types, fields_bytes_max: 100 }
}

fn part(head: &str, content: &[u8]) -> Vec<u8> {
    [format!("--B\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes(), content, b"\r\n"].concat()
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    part(&format!("name=\"{name}\"; filename=\"C:\\\\x\\\\{name}.png\""), content)
}

fn body(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), b"--B--\r\n".to_vec()].concat()
}

async fn received(body: &[u8], rules: &UploadRules, folder: &Path) -> Result<Received, UploadFault> {
    let chunks: Vec<Result<Bytes, UploadFault>> =
        body.chunks(700).map(|chunk| Ok(chunk.to_vec().into())).collect();
    receive(stream::iter(chunks), "B", rules, folder, UploadRoom::new(1 << 24).enter("shop")).await
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[tokio::test]
async fn files_and_fields_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let body = body(&[
        part("name=\"title\"", b"Hello"),
        file("one", PNG),
        part("name=\"empty\"; filename=\"\"", b""),
    ]);
    let received = received(&body, &rules(), folder.path()).await.unwrap();
    assert_eq!(received.fields, [("title".to_owned(), "Hello".to_owned())]);
    let [upload] = received.files.as_slice() else { panic!() };
    assert_eq!(
        (upload.name.as_str(), upload.filename.as_str(), upload.media.name),
        ("one", "one.png", "image/png")
    );
    let mut content = Vec::new();
    upload.reader().unwrap().read_to_end(&mut content).unwrap();
    assert_eq!((content.as_slice(), upload.bytes), (PNG, PNG.len() as u64));
    // It has no name, so it is gone when nobody has it open.
    assert!(is_empty(folder.path()));
}

#[tokio::test]
async fn limits_hold_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let of = |bytes: usize| body(&[file("a", &[PNG, &vec![0; bytes - PNG.len()]].concat())]);
    assert!(received(&of(1_000), &rules(), folder.path()).await.is_ok());
    let fault = received(&of(1_001), &rules(), folder.path()).await.unwrap_err();
    assert!(matches!(fault, UploadFault::TooLarge(1_000)), "{fault}");
    let two = [file("a", PNG), file("b", PNG)];
    assert_eq!(received(&body(&two), &rules(), folder.path()).await.unwrap().files.len(), 2);
    let three = [&two[..], &[file("c", PNG)]].concat();
    let fault = received(&body(&three), &rules(), folder.path()).await.unwrap_err();
    assert!(matches!(fault, UploadFault::TooManyFiles(2)), "{fault}");
    let fields = |bytes| body(&[part("name=\"a\"", &vec![b'x'; bytes])]);
    assert!(received(&fields(99), &rules(), folder.path()).await.is_ok());
    let fault = received(&fields(100), &rules(), folder.path()).await.unwrap_err();
    assert!(matches!(fault, UploadFault::FieldsTooLarge), "{fault}");
    assert!(is_empty(folder.path()));
}

#[tokio::test]
async fn nothing_is_left_of_a_request_that_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let whole = body(&[file("a", PNG), file("b", PNG)]);
    for body in [
        &whole[..whole.len() - 9],
        &whole[..100],
        b"--B\r\nbroken",
        &body(&[file("a", b"<svg xmlns='x'><script/></svg>")]),
        &body(&[file("a", b"%PDF-1.7")]),
    ] {
        assert!(received(body, &rules(), folder.path()).await.is_err());
        assert!(is_empty(folder.path()));
    }
    // The visitor leaves halfway.
    let chunks = [Ok(Bytes::from(whole[..150].to_vec())), Err(UploadFault::Broken)];
    let room = UploadRoom::new(1 << 24);
    let left = receive(stream::iter(chunks), "B", &rules(), folder.path(), room.enter("shop")).await;
    let fault = left.unwrap_err();
    assert!(matches!(fault, UploadFault::Broken) && is_empty(folder.path()), "{fault}");
    // Room for less than the body.
    let chunks = [Ok(Bytes::from(whole.clone()))];
    let small = UploadRoom::new(2 * whole.len() as u64 - 2);
    let received = receive(stream::iter(chunks), "B", &rules(), folder.path(), small.enter("shop")).await;
    assert!(matches!(received, Err(UploadFault::NoRoom)) && is_empty(folder.path()));
}

async fn upload(content: &[u8]) -> Upload {
    let folder = tempfile::tempdir().unwrap();
    let rules = UploadRules { types: Vec::new(), bytes_max: 1 << 20, ..rules() };
    received(&body(&[file("a", content)]), &rules, folder.path()).await.unwrap().files.remove(0)
}

async fn content(store: &FileStore, id: &FileId, part: Option<(u64, u64)>) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    match store.open("shop", id, part).await.unwrap()? {
        Content::File(mut file) => {
            file.read_to_end(&mut all).unwrap();
        }
        Content::Service(mut body) => {
            while let Some(chunk) = body.chunk().await.unwrap() {
                all.extend_from_slice(&chunk);
            }
        }
    }
    Some(all)
}

/// What every store does. It has room for two files of 40 KB each.
async fn suite(store: FileStore) {
    let large = [PNG, &vec![7; 40_000 - PNG.len()]].concat();
    let (first, second) = (upload(&large).await, upload(b"a text").await);
    assert_eq!(store.list("shop", "", "", 10).await.unwrap(), []);
    let picture = store.keep("shop", &first, "ann/picture", true).await.unwrap();
    let text = store.keep("shop", &second, "bob", false).await.unwrap();
    assert_eq!(content(&store, &picture, None).await.unwrap(), large);
    let part = content(&store, &picture, Some((1, 3))).await.unwrap();
    assert!(part == b"PNG" || part == large, "{part:?}");
    assert_eq!(store.about("shop", &text).await.unwrap().unwrap().0, 6);
    // Lists are ordered, and go on after an id.
    let all = store.list("shop", "", "", 10).await.unwrap();
    assert_eq!(all.iter().map(|kept| &kept.id).collect::<Vec<_>>(), [&picture, &text]);
    assert_eq!(all.iter().map(|kept| kept.bytes).collect::<Vec<_>>(), [40_000, 6]);
    assert!(all.iter().all(|kept| kept.kept_at.elapsed().unwrap_or_default().as_secs() < 600));
    assert_eq!(store.list("shop", "", "", 1).await.unwrap(), all[..1]);
    assert_eq!(store.list("shop", "", picture.as_str(), 10).await.unwrap(), all[1..]);
    assert_eq!(store.list("shop", "ann/", "", 10).await.unwrap(), all[..1]);
    // Another brand has nothing of it.
    assert_eq!(store.list("other", "", "", 10).await.unwrap(), []);
    assert!(store.about("other", &picture).await.unwrap().is_none());
    assert!(store.open("other", &picture, None).await.unwrap().is_none());
    store.delete("other", &picture).await.unwrap();
    assert!(store.about("shop", &picture).await.unwrap().is_some());
    // The brand's room is exact, and deleting gives it back.
    let fault = store.keep("shop", &upload(&large).await, "c", true).await.unwrap_err();
    assert!(matches!(fault, FilesError::Full(_)), "{fault}");
    let third = store.keep("shop", &upload(&vec![7; 39_994]).await, "c", true).await.unwrap();
    let fault = store.keep("shop", &upload(b"x").await, "d", true).await.unwrap_err();
    assert!(matches!(fault, FilesError::Full(_)), "{fault}");
    store.delete("shop", &third).await.unwrap();
    store.delete("shop", &third).await.unwrap();
    assert!(content(&store, &third, None).await.is_none());
    store.keep("shop", &upload(b"x").await, "d", true).await.unwrap();
    let fault = store.keep("shop", &upload(b"y").await, "e", true).await.unwrap_err();
    assert!(matches!(fault, FilesError::Full(ref what) if what == "3 files"), "{fault}");
}

const QUOTA: FileQuota = FileQuota { bytes_max: 80_000, files_max: 3 };

#[tokio::test]
async fn folder_keeps_files() {
    let folder = tempfile::tempdir().unwrap();
    suite(FileStore::in_folder(folder.path().join("files"), QUOTA)).await;
}

fn options(endpoint: &str) -> S3Options {
    S3Options {
        endpoint: Url::parse(endpoint).unwrap(),
        bucket: BUCKET.into(),
        region: "eu-central-1".into(),
        key_id: "key".into(),
        secret_key: "secret".into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bucket_keeps_files() {
    let moto = Moto::start();
    let endpoint = Endpoint::new(None).unwrap();
    suite(FileStore::in_bucket(options(&moto.url()), endpoint.clone(), QUOTA).unwrap()).await;
    drop(moto);
    let gone = FileStore::in_bucket(options("http://127.0.0.1:1"), endpoint, QUOTA).unwrap();
    let error = gone.list("shop", "", "", 1).await.unwrap_err();
    assert!(error.to_string().contains("127.0.0.1 cannot be reached"), "{error}");
}
