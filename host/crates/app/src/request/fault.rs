//! Requests whose bodies cannot be taken.

use crate::response::Reply;

/// Why a request is rejected because of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFault {
    /// The connection ended before the body, or the chunks of the body are invalid.
    Broken,
    /// The body took longer than `server.body_timeout`.
    TooSlow,
    /// The memory of the process (`server.memory_max`) has no room for the body.
    NoMemory,
    /// The disk has no room for the files that are arriving (`files.uploads_bytes_max`).
    NoRoom,
    /// A file, or the form, is larger than the page takes, or there are more files.
    TooLarge,
    /// The page takes no files of this type.
    WrongType,
}

impl BodyFault {
    /// The response to the request. The server reads nothing more from the connection.
    pub fn reply(self) -> Reply {
        let mut reply = self.words();
        if matches!(self, Self::NoMemory | Self::NoRoom) {
            reply.set_header("retry-after", "1".into());
        }
        reply.set_header("connection", "close".into());
        reply
    }

    fn words(self) -> Reply {
        match self {
            Self::NoMemory | Self::NoRoom => Reply::plain(503, "Too busy at the moment"),
            Self::Broken => Reply::plain(400, "The request body is incomplete or malformed"),
            Self::TooLarge => Reply::plain(413, "The upload is too large"),
            Self::WrongType => Reply::plain(415, "Files of this type are not accepted"),
            Self::TooSlow => Reply::plain(408, "The request body took too long to arrive"),
        }
    }
}
