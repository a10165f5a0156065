//! Calls real servers on real sockets. They have addresses of 127.0.0.0/8, of which the operator of the tests
//! calls only 127.0.0.9 private.

mod answers;
mod redirects;
mod server;
mod sharing;
mod walls;

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    Call, CallError, CallLimits, Client, HostPattern, OperatorRules, Placeholders, Resolve, Resolved,
    Response, Rules, SystemResolver,
};

/// The address of servers that may be called.
const ALLOWED: [u8; 4] = [127, 0, 0, 9];

const LIMITS: CallLimits = CallLimits {
    // Longer than a slow machine needs for anything that must not end here.
    wall: Duration::from_secs(60),
    request_bytes_max: 1 << 20,
    response_bytes_max: 1 << 20,
};

struct NoSecrets;

impl Placeholders for NoSecrets {
    fn filled(&self, _value: &str, _host: &str, _port: u16) -> Result<Option<String>, String> {
        Ok(None)
    }
}

/// Answers each look-up with the next of these lists, and the last one from then on.
struct Names {
    answers: Vec<Vec<IpAddr>>,
    asked: Arc<AtomicUsize>,
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, _name: &'a str, _place: OwnedSemaphorePermit) -> Resolved<'a> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let found = self.answers.get(asked).or(self.answers.last()).cloned();
        Box::pin(std::future::ready(found.ok_or_else(|| io::ErrorKind::NotFound.into())))
    }
}

fn names(answers: &[&[&str]]) -> (Names, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let parsed = |list: &&[&str]| list.iter().map(|address| address.parse().unwrap()).collect();
    (Names { answers: answers.iter().map(parsed).collect(), asked: Arc::clone(&asked) }, asked)
}

fn patterns(allow: &[&str]) -> Vec<HostPattern> {
    allow.iter().map(|text| HostPattern::try_from((*text).to_owned()).unwrap()).collect()
}

/// The rules of a brand. The operator calls `127.0.0.9` private.
fn rules(allow: &[&str]) -> Arc<Rules> {
    let private_networks = vec!["127.0.0.9/32".parse().unwrap()];
    let operator = OperatorRules { private_networks, ..OperatorRules::default() };
    Arc::new(Rules::new(Arc::new(operator), patterns(allow)))
}

/// Rules that allow everything that a brand can.
fn open_rules(port: u16) -> Arc<Rules> {
    let all: Vec<String> = ["*", "localhost", "localhost:PORT", "*:PORT", "127.0.0.9:PORT", "*.example:PORT"]
        .map(|text| text.replace("PORT", &port.to_string()))
        .into();
    rules(&all.iter().map(String::as_str).collect::<Vec<_>>())
}

fn client() -> Client {
    with_resolver(SystemResolver::default())
}

fn with_resolver(resolver: impl Resolve + 'static) -> Client {
    Client::new(Handle::current(), Box::new(resolver), None).unwrap()
}

fn with_ca(file: &Path) -> Client {
    Client::new(Handle::current(), Box::new(SystemResolver::default()), Some(file)).unwrap()
}

fn get(url: &str) -> Call {
    Call { method: "GET".into(), url: url.into(), ..Call::default() }
}

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

async fn send(client: &Client, rules: &Arc<Rules>, call: Call) -> Result<Response, CallError> {
    send_within(client, rules, call, LIMITS).await
}

async fn send_within(
    client: &Client,
    rules: &Arc<Rules>,
    call: Call,
    limits: CallLimits,
) -> Result<Response, CallError> {
    let secrets: Arc<dyn Placeholders> = Arc::new(NoSecrets);
    client.begin("demo", rules, call, limits, &secrets)?.await.result
}
