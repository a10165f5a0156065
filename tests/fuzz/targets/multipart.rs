//! Checks that a form with files is read the same however it arrives, and what is said about the content of files.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_files::FileId;
use sluice_files::media::{is_known, of_content, of_ending};
use sluice_files::multipart::{Event, Malformed, Parser, boundary};

type Parts = Vec<(String, Vec<u8>)>;

/// The parts of a body that arrives in chunks of this size.
fn parts(body: &[u8], chunk: usize) -> Result<(Parts, bool), Malformed> {
    let mut parser = Parser::new("B");
    let mut parts = Parts::new();
    for bytes in body.chunks(chunk) {
        parser.push(bytes);
        while let Some(event) = parser.next_event()? {
            match event {
                Event::Part(head) => {
                    parts.push((
                        format!("{} {:?} {}", head.name, head.filename, head.claimed_type),
                        Vec::new(),
                    ));
                }
                Event::Data(data) => parts.last_mut().expect("data belong to a part").1.extend(data),
                Event::PartEnd | Event::End => {}
            }
        }
    }
    Ok((parts, parser.is_complete()))
}

fuzz_target!(|body: &[u8]| {
    let whole = parts(body, body.len().max(1));
    for chunk in [1, 2, 3, 7] {
        assert_eq!(parts(body, chunk), whole);
    }
    if let Ok((parts, _)) = whole {
        for (_, content) in &parts {
            assert!(!content.windows(5).any(|bytes| bytes == b"\r\n--B"), "a part ends at its boundary");
        }
    }
    let text = String::from_utf8_lossy(body);
    let _ = boundary(&text);
    let media = of_content(body, &text);
    assert!(is_known(media.name) && of_ending(media.ending).is_inline == media.is_inline);
    let has_markup = |tag: &str| text.to_ascii_lowercase().contains(tag);
    if media.is_inline && media.name.starts_with("text/") && body.len() < 1_000 {
        assert!(!has_markup("<script") && !has_markup("<svg"));
    }
    if let Some(id) = FileId::parse(&text) {
        assert!(id.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./~".contains(&byte)));
        assert!(id.name().split('/').all(|part| !part.is_empty() && !part.starts_with('.')));
    }
});
