//! Uploads on a real disk, and one suite for each store.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

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

async fn receive_whole(body: &[u8], rules: &UploadRules, folder: &Path) -> Result<Received, UploadFault> {
    let chunks: Vec<Result<Bytes, UploadFault>> =
        body.chunks(700).map(|chunk| Ok(chunk.to_vec().into())).collect();
    receive(stream::iter(chunks), "B", rules, folder, UploadRoom::new(1 << 24, 1 << 24).enter("shop")).await
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
    let received = receive_whole(&body, &rules(), folder.path()).await.unwrap();
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
    assert!(receive_whole(&of(1_000), &rules(), folder.path()).await.is_ok());
    let fault = receive_whole(&of(1_001), &rules(), folder.path()).await.unwrap_err();
    assert!(matches!(fault, UploadFault::TooLarge(1_000)), "{fault}");
    let two = [file("a", PNG), file("b", PNG)];
    assert_eq!(receive_whole(&body(&two), &rules(), folder.path()).await.unwrap().files.len(), 2);
    let three = [&two[..], &[file("c", PNG)]].concat();
    let fault = receive_whole(&body(&three), &rules(), folder.path()).await.unwrap_err();
    assert!(matches!(fault, UploadFault::TooManyFiles(2)), "{fault}");
    let fields = |bytes| body(&[part("name=\"a\"", &vec![b'x'; bytes])]);
    assert!(receive_whole(&fields(99), &rules(), folder.path()).await.is_ok());
    let fault = receive_whole(&fields(100), &rules(), folder.path()).await.unwrap_err();
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
        assert!(receive_whole(body, &rules(), folder.path()).await.is_err());
        assert!(is_empty(folder.path()));
    }
    // The visitor leaves halfway.
    let chunks = [Ok(Bytes::from(whole[..150].to_vec())), Err(UploadFault::Broken)];
    let room = UploadRoom::new(1 << 24, 1 << 24);
    let left = receive(stream::iter(chunks), "B", &rules(), folder.path(), room.enter("shop")).await;
    let fault = left.unwrap_err();
    assert!(matches!(fault, UploadFault::Broken) && is_empty(folder.path()), "{fault}");
    // Room for less than the body.
    let chunks = [Ok(Bytes::from(whole.clone()))];
    let small = UploadRoom::new(2 * whole.len() as u64 - 2, 1 << 24);
    let received = receive(stream::iter(chunks), "B", &rules(), folder.path(), small.enter("shop")).await;
    assert!(matches!(received, Err(UploadFault::NoRoom)) && is_empty(folder.path()));
}

#[tokio::test]
async fn inputs_without_a_file_take_no_place() {
    let folder = tempfile::tempdir().unwrap();
    let unnamed = |content: &[u8]| part("name=\"f\"; filename=\"\"", content);
    let nothing: Vec<_> = (0..600).map(|_| unnamed(b"")).collect();
    let room = UploadRoom::new(1 << 24, 1 << 24);
    let chunks = [Ok(Bytes::from(body(&nothing)))];
    let received = receive(stream::iter(chunks), "B", &rules(), folder.path(), room.enter("shop")).await;
    let received = received.unwrap();
    assert!(received.files.is_empty());
    let mut others = room.enter("shop");
    assert!((0..256).all(|_| others.add_file()), "the request has places");
    drop(others);
    // With content, each is a file.
    let two = body(&[unnamed(b"a text"), unnamed(b""), unnamed(b"b")]);
    let taken = receive_whole(&two, &rules(), folder.path()).await.unwrap();
    assert_eq!(taken.files.iter().map(|file| file.bytes).collect::<Vec<_>>(), [6, 1]);
    let three = body(&[unnamed(b"a"), unnamed(b"b"), unnamed(b"c")]);
    let fault = receive_whole(&three, &rules(), folder.path()).await.unwrap_err();
    assert!(matches!(fault, UploadFault::TooManyFiles(2)), "{fault}");
}

async fn upload(content: &[u8]) -> Upload {
    let folder = tempfile::tempdir().unwrap();
    let rules = UploadRules { types: Vec::new(), bytes_max: 1 << 20, ..rules() };
    receive_whole(&body(&[file("a", content)]), &rules, folder.path()).await.unwrap().files.remove(0)
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

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_kept_at_the_same_time_stay_within_the_quota() {
    let folder = tempfile::tempdir().unwrap();
    let quota = FileQuota { bytes_max: 80_000, files_max: 1_000 };
    let store = Arc::new(FileStore::in_folder(folder.path().join("files"), quota));
    let upload = Arc::new(upload(&vec![7; 10_000]).await);
    let none = FileId::new("none", true, media::of_ending("txt")).unwrap().unwrap();
    for _ in 0..5 {
        let tasks: Vec<_> = (0..40)
            .map(|number| {
                let (store, upload, none) = (Arc::clone(&store), Arc::clone(&upload), none.clone());
                tokio::spawn(async move {
                    store.delete("shop", &none).await.unwrap();
                    let kept = store.keep("shop", &upload, "a", true).await;
                    // A file that goes while others come.
                    if let Ok(id) = &kept
                        && number % 3 == 0
                    {
                        store.delete("shop", id).await.unwrap();
                    }
                    drop(kept);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let kept = store.list("shop", "", "", 100).await.unwrap();
        assert!(kept.len() <= 8, "{} files", kept.len());
        // The room that is left is exact.
        for _ in kept.len()..8 {
            store.keep("shop", &upload, "b", true).await.unwrap();
        }
        let fault = store.keep("shop", &upload, "c", true).await.unwrap_err();
        assert!(matches!(fault, FilesError::Full(_)), "{fault}");
        for kept in store.list("shop", "", "", 100).await.unwrap() {
            store.delete("shop", &kept.id).await.unwrap();
        }
    }
}

#[tokio::test]
async fn drafts_of_a_host_that_was_killed_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::in_folder(folder.path().to_owned(), QUOTA);
    let of_brand = folder.path().join("shop");
    std::fs::create_dir(&of_brand).unwrap();
    let (old, new) = (of_brand.join(".draft-old"), of_brand.join(".draft-new"));
    let two_hours_ago = SystemTime::now() - Duration::from_secs(7_200);
    File::create(&old).unwrap().set_modified(two_hours_ago).unwrap();
    File::create(&new).unwrap();
    let kept = store.keep("shop", &upload(b"a text").await, "a", true).await.unwrap();
    assert!(!old.exists() && new.exists());
    assert_eq!(store.list("shop", "", "", 10).await.unwrap().first().map(|file| &file.id), Some(&kept));
}

/// A service that sends its list in pages that are shorter than it was asked for, the second one empty.
fn short_pages(ids: Vec<String>) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let lines: Vec<_> =
                (&mut stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            let page = match lines[0].split_once("continuation-token=page") {
                Some((_, rest)) => rest[..1].parse().unwrap(),
                None => 0,
            };
            let of_page = match page {
                0 => &ids[..1],
                1 => &[],
                _ => &ids[1..],
            };
            let entry = |id: &String| {
                format!(
                    "<Contents><Key>shop/{id}</Key><LastModified>2026-11-28T20:00:00.000Z</LastModified><ETag>e</ETag><Size>9</Size><StorageClass>STANDARD</StorageClass></Contents>"
                )
            };
            let more = match page {
                0 | 1 => format!(
                    "<IsTruncated>true</IsTruncated><NextContinuationToken>page{}</NextContinuationToken>",
                    page + 1
                ),
                _ => "<IsTruncated>false</IsTruncated>".to_owned(),
            };
            let entries: String = of_page.iter().map(entry).collect();
            let list = format!(
                "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{entries}{more}</ListBucketResult>"
            );
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", list.len());
            drop(stream.get_mut().write_all((head + &list).as_bytes()));
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_go_on_after_a_short_page() {
    let mut ids: Vec<_> = (0..3)
        .map(|_| FileId::new("a", true, media::of_ending("txt")).unwrap().unwrap().to_string())
        .collect();
    ids.sort_unstable();
    let url = short_pages(ids.clone());
    let store = FileStore::in_bucket(options(url.as_str()), Endpoint::new(None).unwrap(), QUOTA).unwrap();
    let listed = store.list("shop", "", "", 10).await.unwrap();
    assert_eq!(listed.iter().map(|file| file.id.to_string()).collect::<Vec<_>>(), ids);
    // The quota counts all of them.
    let fault = store.keep("shop", &upload(b"x").await, "d", true).await.unwrap_err();
    assert!(matches!(fault, FilesError::Full(ref what) if what == "3 files"), "{fault}");
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
