//! Hosts that share a database and use a real ACME server, and the names that lead to them.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sluice_acme::{
    ACME_PROTOCOL, Answers, Authority, Challenge, HTTP_PATH, Issue, Keeper, KeeperOptions, NameKey,
    NameState, Net, Now, StoredCertificate, Wanted,
};
use sluice_fetch::endpoint::Endpoint;
use sluice_fetch::{Resolve, Resolved};
use sluice_kit::clock::now_ms;
use sluice_kit::keys::Keys;
use sluice_store::Store;
use sluice_store::sqlite::{SqliteOptions, SqliteStore};
use sluice_test_support::pebble::Pebble;
use sluice_tls::Certificates;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::LazyConfigAcceptor;

use crate::front::Front;

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const DAY: i64 = 24 * 60 * MINUTE;
pub(crate) const APP_KEY: &str = "0123456789abcdef0123456789abcdef";

pub(crate) struct World {
    pub(crate) pebble: Pebble,
    pub(crate) front: Front,
    pub(crate) dir: TempDir,
    http_port: u16,
    tls_port: u16,
    /// The hosts to which the names lead, one after the other.
    reached: Arc<Mutex<Vec<Arc<Answers>>>>,
    /// How much later than the real time it is, in milliseconds.
    later: Arc<AtomicI64>,
}

/// One host.
pub(crate) struct Host {
    pub(crate) keeper: Keeper,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) answers: Arc<Answers>,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) outcomes: Arc<Mutex<Vec<&'static str>>>,
    directory: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        // A test that fails shows what the hosts logged.
        drop(tracing_subscriber::fmt().with_test_writer().try_init());
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tls = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (http_port, tls_port) = (http.local_addr().unwrap().port(), tls.local_addr().unwrap().port());
        let reached: Arc<Mutex<Vec<Arc<Answers>>>> = Arc::default();
        tokio::spawn(serve_http(http, Arc::clone(&reached)));
        tokio::spawn(serve_tls(tls, Arc::clone(&reached)));
        let pebble = tokio::task::spawn_blocking(move || Pebble::start(http_port, tls_port)).await.unwrap();
        let front = Front::start(&pebble).await;
        let dir = tempfile::tempdir().unwrap();
        Self { pebble, front, dir, http_port, tls_port, reached, later: Arc::default() }
    }

    pub(crate) fn now(&self) -> i64 {
        now_ms() + self.later.load(Ordering::Relaxed)
    }

    /// Lets time pass for the hosts.
    pub(crate) fn pass_time(&self, ms: i64) {
        self.later.fetch_add(ms, Ordering::Relaxed);
    }

    /// A host that wants certificates for these names, to which the names lead.
    pub(crate) async fn host(&self, wanted: &[(&str, &str)]) -> Host {
        self.host_with(wanted, |_| {}).await
    }

    pub(crate) async fn host_with(
        &self,
        wanted: &[(&str, &str)],
        change: impl FnOnce(&mut KeeperOptions),
    ) -> Host {
        let path = self.dir.path().join("sluice.db");
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(SqliteOptions::new(path)).await.unwrap());
        let later = Arc::clone(&self.later);
        let now: Now = Arc::new(move || now_ms() + later.load(Ordering::Relaxed));
        let wanted: Vec<Wanted> = wanted
            .iter()
            .map(|(brand, name)| Wanted { brand: (*brand).to_owned(), name: (*name).to_owned() })
            .collect();
        let (certificates, outcomes) = (Arc::new(Certificates::default()), Arc::new(Mutex::new(Vec::new())));
        let counted = Arc::clone(&outcomes);
        let endpoint = Endpoint::trusting("acme.ca_file", Some(&self.pebble.ca_file())).unwrap();
        let mut options = KeeperOptions {
            directory: self.front.directory(),
            contact: Some("operator@example.com".into()),
            challenge: Challenge::Http01,
            has_check: true,
            brand_orders_per_day_max: 20,
            orders_per_hour_max: 60,
            store: Arc::clone(&store) as _,
            keys: Arc::new(Keys::load(Some(APP_KEY), None, None).unwrap()),
            authority: Authority { request_max: Duration::from_secs(5), ..Authority::new(endpoint) },
            net: Net::new(Arc::new(EveryName)).with_ports(self.http_port, self.tls_port),
            wanted: Box::new(move || wanted.clone()),
            certificates: Arc::clone(&certificates),
            ended: Box::new(move |outcome| counted.lock().push(outcome)),
            now: Arc::clone(&now),
        };
        change(&mut options);
        let directory = options.directory.clone();
        let keeper = Keeper::new(options).unwrap();
        let answers = Arc::new(Answers::new(Arc::clone(&store) as _, now));
        self.reached.lock().push(Arc::clone(&answers));
        Host { keeper, store, answers, certificates, outcomes, directory }
    }

    /// The names lead to these hosts from now on.
    pub(crate) fn lead_to(&self, hosts: &[&Host]) {
        *self.reached.lock() = hosts.iter().map(|host| Arc::clone(&host.answers)).collect();
    }
}

impl Host {
    pub(crate) fn key(&self, name: &str) -> NameKey {
        NameKey { directory: self.directory.clone(), name: name.to_owned() }
    }

    /// The chain of the certificate that is installed for a name.
    pub(crate) fn installed(&self, name: &str) -> Option<Vec<Vec<u8>>> {
        let key = self.certificates.of_name(name)?;
        Some(key.cert.iter().map(|certificate| certificate.to_vec()).collect())
    }

    /// The private key of the certificate that is stored for a name.
    pub(crate) async fn private_key(&self, name: &str) -> Vec<u8> {
        let of = self.key(name);
        let sealed = self.store.certificate(&of).await.unwrap().unwrap().sealed_key;
        let keys = Keys::load(Some(APP_KEY), None, None).unwrap();
        keys.open(sluice_acme::CERTIFICATE_KEY, name.as_bytes(), of.directory.as_bytes(), &sealed).unwrap()
    }

    pub(crate) async fn state(&self, name: &str) -> Option<NameState> {
        let states = self.store.acme_names().await.unwrap();
        states.into_iter().find(|state| state.key == self.key(name))
    }

    /// Stores a certificate that was issued long ago.
    pub(crate) async fn store_old(&self, name: &str, not_before: i64, not_after: i64) -> Vec<Vec<u8>> {
        let at = |ms: i64| time::OffsetDateTime::from_unix_timestamp(ms / 1_000).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (at(not_before), at(not_after));
        let made = params.self_signed(&key).unwrap();
        let chain = made.pem().into_bytes();
        let keys = Keys::load(Some(APP_KEY), None, None).unwrap();
        let of = self.key(name);
        let sealed_key = keys.seal(
            sluice_acme::CERTIFICATE_KEY,
            name.as_bytes(),
            of.directory.as_bytes(),
            &key.serialize_der(),
        );
        let revision = i64::from(fastrand::i32(..));
        let issue =
            Issue { revision, not_before: not_before / 1_000 * 1_000, not_after: not_after / 1_000 * 1_000 };
        let holder = sluice_acme::Holder([9; 16]);
        assert!(self.store.lease_name(&of, holder, i64::MAX, None, i64::MAX - 1).await.unwrap());
        let stored = StoredCertificate { issue, chain, sealed_key: sealed_key.unwrap() };
        assert!(self.store.save_certificate(&of, holder, stored).await.unwrap());
        vec![made.der().to_vec()]
    }
}

/// Every name has the address of this machine, except those below `elsewhere.example`.
struct EveryName;

impl Resolve for EveryName {
    fn resolve<'a>(&'a self, name: &'a str, _place: OwnedSemaphorePermit) -> Resolved<'a> {
        let address: IpAddr = match name.ends_with("elsewhere.example") {
            true => [127, 0, 0, 2].into(),
            false => [127, 0, 0, 1].into(),
        };
        Box::pin(async move {
            match name.ends_with("unknown.example") {
                true => Err(io::Error::other("no such name")),
                false => Ok(vec![address]),
            }
        })
    }
}

/// The next host, as a load balancer chooses it.
fn next(reached: &Mutex<Vec<Arc<Answers>>>) -> Option<Arc<Answers>> {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let reached = reached.lock();
    let turn = TURN.fetch_add(1, Ordering::Relaxed).checked_rem(reached.len())?;
    Some(Arc::clone(&reached[turn]))
}

async fn serve_http(listener: TcpListener, reached: Arc<Mutex<Vec<Arc<Answers>>>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let reached = Arc::clone(&reached);
        tokio::spawn(async move {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            let text = String::from_utf8(request).unwrap();
            let path = text.split(' ').nth(1).unwrap();
            let token = path.strip_prefix(HTTP_PATH).unwrap_or_default();
            let answer = match next(&reached) {
                Some(answers) => answers.http_01(token).await,
                None => None,
            };
            let (status, body) = answer.map_or((404, "no".to_owned()), |answer| (200, answer));
            let length = body.len();
            let response =
                format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            drop(stream.write_all(response.as_bytes()).await);
        });
    }
}

async fn serve_tls(listener: TcpListener, reached: Arc<Mutex<Vec<Arc<Answers>>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let reached = Arc::clone(&reached);
        tokio::spawn(async move {
            let acceptor = LazyConfigAcceptor::new(Default::default(), stream);
            let Ok(start) = acceptor.await else { return };
            let hello = start.client_hello();
            let is_challenge =
                hello.alpn().is_some_and(|mut all| all.any(|protocol| protocol == ACME_PROTOCOL));
            let name = hello.server_name().unwrap_or_default().to_owned();
            let config = match next(&reached).filter(|_| is_challenge) {
                Some(answers) => answers.tls_alpn_01(&name).await,
                None => None,
            };
            let Some(config) = config else { return };
            if let Ok(mut stream) = start.into_stream(config).await {
                drop(stream.shutdown().await);
            }
        });
    }
}
