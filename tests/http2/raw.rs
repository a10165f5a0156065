//! A client that sends what it likes, frame by frame.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::tls;
use crate::harness::Server;
use crate::https::Authority;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RESET: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GO_AWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

pub(super) const NO_ERROR: u32 = 0;
pub(super) const PROTOCOL_ERROR: u32 = 1;
pub(super) const REFUSED_STREAM: u32 = 7;
pub(super) const ENHANCE_YOUR_CALM: u32 = 11;

pub(super) struct Raw {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

/// What the server does with a request.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Outcome {
    /// A response with this status. 0 stands for those that have no code of one byte.
    Answered(u16),
    Reset(u32),
    /// The connection ends, for this reason if there is one.
    Ended(Option<u32>),
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Raw {
    /// A connection on which client and server have exchanged their settings.
    pub(super) fn connect(authority: &Authority, server: &Server) -> Self {
        Self::with_settings(authority, server, &[])
    }

    pub(super) fn with_settings(authority: &Authority, server: &Server, settings: &[u8]) -> Self {
        let socket = TcpStream::connect(server.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        socket.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
        let name = ServerName::try_from("shop.test").unwrap();
        let mut raw =
            Self { stream: StreamOwned::new(ClientConnection::new(tls(authority), name).unwrap(), socket) };
        raw.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        raw.send(SETTINGS, 0, 0, settings).unwrap();
        raw.send(SETTINGS, ACK, 0, &[]).unwrap();
        raw
    }

    /// The socket's port on this side.
    pub(super) fn port(&self) -> u16 {
        self.stream.sock.local_addr().unwrap().port()
    }

    pub(super) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.stream.write_all(&frame(kind, flags, stream, payload))
    }

    /// Sends these frames at once.
    pub(super) fn send_all(&mut self, frames: &[Vec<u8>]) -> io::Result<()> {
        self.stream.write_all(&frames.concat())
    }

    /// Sends a request without a body, and returns what becomes of it.
    pub(super) fn ask(&mut self, stream: u32, headers: &[(&str, &str)]) -> Outcome {
        // The server may have ended the connection, and its reason is still to be read.
        let _ = self.send(HEADERS, END_HEADERS | END_STREAM, stream, &block(headers));
        self.outcome(stream)
    }

    pub(super) fn outcome(&mut self, stream: u32) -> Outcome {
        while let Some(frame) = self.next() {
            let code = |at: usize| u32::from_be_bytes(frame.payload[at..at + 4].try_into().unwrap());
            match frame.kind {
                GO_AWAY => return Outcome::Ended(Some(code(4))),
                RESET if frame.stream == stream => return Outcome::Reset(code(0)),
                HEADERS if frame.stream == stream => {
                    let statuses = [200, 204, 206, 304, 400, 404, 500];
                    let index = frame.payload[0].checked_sub(0x88).map(usize::from);
                    return Outcome::Answered(index.and_then(|index| statuses.get(index)).map_or(0, |s| *s));
                }
                _ => {}
            }
        }
        Outcome::Ended(None)
    }

    /// Waits until the server has handled everything that was sent before. Fails if the connection ends.
    pub(super) fn round_trip(&mut self) -> Result<(), Option<u32>> {
        self.send(PING, 0, 0, &[7; 8]).map_err(|_| self.reason())?;
        while let Some(frame) = self.next() {
            match frame.kind {
                PING if frame.flags & ACK != 0 && frame.payload == [7; 8] => return Ok(()),
                GO_AWAY => return Err(Some(u32::from_be_bytes(frame.payload[4..8].try_into().unwrap()))),
                _ => {}
            }
        }
        Err(None)
    }

    /// Why the server has ended the connection, if it has said so.
    pub(super) fn reason(&mut self) -> Option<u32> {
        match self.outcome(u32::MAX) {
            Outcome::Ended(reason) => reason,
            _ => None,
        }
    }

    fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap()];
        self.stream.read_exact(&mut payload).ok()?;
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Headers as literals (RFC 7541, 6.2.2).
pub(super) fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(0);
        for text in [name, value] {
            // A length of seven bits, continued in groups of seven.
            match text.len().checked_sub(127) {
                None => block.push(u8::try_from(text.len()).unwrap()),
                Some(mut rest) => {
                    block.push(127);
                    while rest >= 128 {
                        block.push(u8::try_from(rest % 128 + 128).unwrap());
                        rest /= 128;
                    }
                    block.push(u8::try_from(rest).unwrap());
                }
            }
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}
