//! Bodies: one that is sent at once, and one that is read within its quota.

use std::convert::Infallible;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::write::GzDecoder;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// How much larger than its content a compressed body may be.
const GZIP_BYTES_MORE: usize = 64 << 10;

/// A body of a request.
#[derive(Debug, Clone)]
pub(crate) struct Whole(pub(crate) Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// Why the body of a response cannot be read.
pub(crate) enum Unread {
    /// It is larger than the quota.
    TooLarge,
    /// It is encoded in a way that was not asked for.
    Encoding,
    /// It ended too early, or is not what its encoding says.
    Broken(String),
}

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Plain,
    Gzip,
    /// One that was not asked for. It matters only if there is a body.
    Other,
}

/// Reads a body to its end. Not more than `bytes_max` bytes are ever kept, decoded or not.
pub(crate) async fn read(
    mut body: Incoming,
    encoding: Option<&str>,
    bytes_max: usize,
) -> Result<Vec<u8>, Unread> {
    let encoding = match encoding.map(str::trim).unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "identity" => Encoding::Plain,
        "gzip" | "x-gzip" => Encoding::Gzip,
        _ => Encoding::Other,
    };
    if encoding == Encoding::Plain && body.size_hint().lower() > bytes_max as u64 {
        return Err(Unread::TooLarge);
    }
    let mut sink = Sink::new(encoding, bytes_max);
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        match frame {
            None => return sink.end(),
            Some(Err(error)) => return Err(Unread::Broken(reason(&error))),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    sink.take(&data)?;
                }
            }
        }
    }
}

/// What hyper says about a failure, without its causes: they can quote what the server sent.
pub(crate) fn reason(error: &hyper::Error) -> String {
    let text = if error.is_incomplete_message() {
        "the response ended too early"
    } else if error.is_parse() {
        "it is not HTTP/1.1, or its headers are too large"
    } else if error.is_body_write_aborted() || error.is_closed() || error.is_canceled() {
        "the connection was closed"
    } else {
        "the connection failed"
    };
    text.to_owned()
}

/// Collects a body, and decodes it on the way.
enum Sink {
    Plain(Bounded),
    Gzip(Box<Gzip>),
    Other,
}

/// Decodes gzip, of which a body can have several parts.
struct Gzip {
    decoder: GzDecoder<Bounded>,
    /// The compressed bytes that may still come: an endless row of empty parts decodes to nothing.
    left: usize,
    /// Whether something has come. Responses to HEAD and those with status 304 name an encoding and have no body.
    has_begun: bool,
    /// Whether zeros follow the last part, with which some programs fill up a block.
    is_padding: bool,
}

impl Gzip {
    fn decode(&mut self, mut data: &[u8]) -> io::Result<()> {
        self.has_begun |= !data.is_empty();
        while let Some(first) = data.first() {
            if self.is_padding {
                let is_zeros = data.iter().all(|byte| *byte == 0);
                return if is_zeros { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) };
            }
            match self.decoder.write(data)? {
                // The part has ended before these bytes.
                0 => {
                    self.decoder.try_finish()?;
                    self.is_padding = *first == 0;
                    if !self.is_padding {
                        let decoded = std::mem::take(self.decoder.get_mut());
                        self.decoder = GzDecoder::new(decoded);
                    }
                }
                taken => data = data.get(taken..).unwrap_or_default(),
            }
        }
        Ok(())
    }
}

/// A buffer that does not grow beyond its quota.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
    is_full: bool,
}

impl Write for Bounded {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let len = self.bytes.len();
        if data.len() > self.bytes_max.saturating_sub(len) {
            self.is_full = true;
            return Err(io::Error::other("full"));
        }
        if data.len() > self.bytes.capacity() - len {
            let wanted = len.saturating_mul(2).clamp(len + data.len(), self.bytes_max);
            self.bytes.reserve_exact(wanted - len);
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn new(encoding: Encoding, bytes_max: usize) -> Self {
        let bounded = Bounded { bytes: Vec::new(), bytes_max, is_full: false };
        match encoding {
            Encoding::Plain => Self::Plain(bounded),
            Encoding::Gzip => Self::Gzip(Box::new(Gzip {
                decoder: GzDecoder::new(bounded),
                left: bytes_max.saturating_add(GZIP_BYTES_MORE),
                has_begun: false,
                is_padding: false,
            })),
            Encoding::Other => Self::Other,
        }
    }

    fn take(&mut self, data: &[u8]) -> Result<(), Unread> {
        let written = match self {
            Self::Plain(bounded) => bounded.write_all(data),
            Self::Gzip(gzip) => {
                gzip.left = gzip.left.checked_sub(data.len()).ok_or(Unread::TooLarge)?;
                gzip.decode(data)
            }
            Self::Other if data.is_empty() => Ok(()),
            Self::Other => return Err(Unread::Encoding),
        };
        written.map_err(|_| self.fault())
    }

    fn fault(&self) -> Unread {
        let is_full = match self {
            Self::Plain(bounded) => bounded.is_full,
            Self::Gzip(gzip) => gzip.decoder.get_ref().is_full,
            Self::Other => false,
        };
        if is_full { Unread::TooLarge } else { Unread::Broken("its body is not gzip".into()) }
    }

    fn end(mut self) -> Result<Vec<u8>, Unread> {
        match &mut self {
            Self::Plain(bounded) => Ok(std::mem::take(&mut bounded.bytes)),
            Self::Gzip(gzip) if !gzip.has_begun => Ok(Vec::new()),
            Self::Gzip(gzip) => match gzip.decoder.try_finish() {
                Ok(()) => Ok(std::mem::take(&mut gzip.decoder.get_mut().bytes)),
                Err(_) => Err(self.fault()),
            },
            Self::Other => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(compressed: &[u8], bytes_max: usize) -> Result<Vec<u8>, bool> {
        let mut sink = Sink::new(Encoding::Gzip, bytes_max);
        let taken = compressed.chunks(100).try_for_each(|chunk| sink.take(chunk));
        taken.and_then(|()| sink.end()).map_err(|unread| matches!(unread, Unread::TooLarge))
    }

    #[test]
    fn a_decompression_bomb_ends_at_the_quota() {
        let zeros = vec![0; 10 << 20];
        let bomb = gzip(&zeros);
        assert!(bomb.len() < 20_000);
        assert_eq!(decoded(&bomb, 1 << 20), Err(true));
        assert_eq!(decoded(&bomb, zeros.len() - 1), Err(true));
        assert_eq!(decoded(&bomb, zeros.len()).unwrap().len(), zeros.len());
        // A bomb within a bomb is only decoded once.
        assert_eq!(decoded(&gzip(&bomb), 1 << 20).unwrap(), bomb);
    }

    #[test]
    fn compressed_bytes_that_decode_to_nothing_end_at_the_quota() {
        let nothing = gzip(b"");
        let parts = |bytes: usize| nothing.repeat(bytes / nothing.len());
        assert_eq!(decoded(&parts(100 + GZIP_BYTES_MORE), 100), Ok(Vec::new()));
        assert_eq!(decoded(&parts(100 + GZIP_BYTES_MORE + 2 * nothing.len()), 100), Err(true));
    }

    #[test]
    fn a_body_that_is_no_gzip_or_ends_early_is_an_error() {
        assert_eq!(decoded(b"hello", 100), Err(false));
        let text = gzip(b"hello");
        assert_eq!(decoded(&text[..text.len() - 1], 100), Err(false));
        assert_eq!(decoded(&text, 5), Ok(b"hello".to_vec()));
        assert_eq!(decoded(&text, 4), Err(true));
    }

    #[test]
    fn several_parts_and_zeros_at_the_end_are_gzip() {
        let (one, two) = (gzip(b"hello "), gzip(b"world"));
        let zeros = vec![0; 1000];
        let both = [one.as_slice(), &two].concat();
        assert_eq!(decoded(&both, 100), Ok(b"hello world".to_vec()));
        // Whatever the blocks are in which it comes.
        for zeros in [1, 99, 1000] {
            assert_eq!(
                decoded(&[both.as_slice(), &vec![0; zeros]].concat(), 100),
                Ok(b"hello world".to_vec())
            );
        }
        for bad in [[&both, zeros.as_slice(), &two].concat(), [&both, b"x".as_slice()].concat(), zeros] {
            assert_eq!(decoded(&bad, 100), Err(false));
        }
        assert_eq!(decoded(&[&both[..both.len() - 8], [0; 100].as_slice()].concat(), 100), Err(false));
    }
}
