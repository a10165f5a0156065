//! A proxy between hosts and their database, which can interrupt the connections.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What the proxy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Passes everything on.
    Open,
    /// Closes connections, and accepts none.
    Closed,
    /// Holds back everything that is sent.
    Silent,
    /// Passes on requests, and holds back answers.
    HoldsAnswers,
}

struct Shared {
    mode: Mutex<Mode>,
    connections: Mutex<Vec<TcpStream>>,
}

/// A running proxy. Its threads end with the test.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
}

impl Proxy {
    /// Starts a proxy to the server of `url`. Returns it with the URL through it.
    pub(crate) fn before(url: &str) -> (Self, String) {
        let (front, database) = url.rsplit_once('/').unwrap();
        let (scheme, server) = front.rsplit_once('@').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { mode: Mutex::new(Mode::Open), connections: Mutex::default() });
        let (server, of_thread) = (server.to_owned(), Arc::clone(&shared));
        thread::spawn(move || accept(&listener, &server, &of_thread));
        (Self { shared }, format!("{scheme}@127.0.0.1:{port}/{database}"))
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.shared.mode.lock().unwrap() = mode;
        if mode == Mode::Closed {
            self.close_connections();
        }
    }

    /// Closes the connections that are open. What was held back is lost.
    pub(crate) fn close_connections(&self) {
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            // The other side may have closed it.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn accept(listener: &TcpListener, server: &str, shared: &Arc<Shared>) {
    for host in listener.incoming().map_while(Result::ok) {
        if *shared.mode.lock().unwrap() == Mode::Closed {
            continue;
        }
        let Ok(database) = TcpStream::connect(server) else { continue };
        let copies = [&host, &database].map(|stream| stream.try_clone().unwrap());
        shared.connections.lock().unwrap().extend(copies);
        let (to_host, to_database) = (host.try_clone().unwrap(), database.try_clone().unwrap());
        let requests = Arc::clone(shared);
        thread::spawn(move || pass(host, to_database, || *requests.mode.lock().unwrap() == Mode::Silent));
        let answers = Arc::clone(shared);
        thread::spawn(move || {
            pass(database, to_host, || {
                matches!(*answers.mode.lock().unwrap(), Mode::Silent | Mode::HoldsAnswers)
            });
        });
    }
}

/// Passes on what is sent, as long as `holds` is false.
fn pass(mut from: TcpStream, mut to: TcpStream, holds: impl Fn() -> bool) {
    let mut bytes = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        while holds() {
            thread::sleep(Duration::from_millis(2));
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // Either side may have closed it.
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
