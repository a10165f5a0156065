//! A simple HTTP client: it follows no redirects, keeps no connections or cookies, and never
//! retries.

use std::net::SocketAddr;
use std::time::Duration;

/// The admin token of the servers under test.
pub const ADMIN_TOKEN: &str = "an-operator-s-token-for-tests-0123";

/// A request.
pub struct Request {
    method: String,
    path: String,
    host: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    time_max: Option<Duration>,
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// In order, with lower-case names.
    pub headers: Vec<(String, String)>,
    /// The body as text. Bytes that are not UTF-8 are replaced.
    pub body: String,
    /// The body.
    pub bytes: Vec<u8>,
}

impl Request {
    /// A request with this method and path to the host `localhost`.
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            host: "localhost".into(),
            headers: Vec::new(),
            body: Vec::new(),
            time_max: None,
        }
    }

    /// A GET request.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// Sets the header `Host`.
    pub fn host(mut self, host: &str) -> Self {
        self.host = host.into();
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends the operators' token.
    pub fn operator(self) -> Self {
        self.header("authorization", &format!("Bearer {}", ADMIN_TOKEN))
    }

    /// Sets the body.
    pub fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    /// Waits at most this long for the response.
    pub fn time_max(mut self, limit: Duration) -> Self {
        self.time_max = Some(limit);
        self
    }

    /// Sends the request and waits for the response.
    pub fn send(self, to: SocketAddr) -> Answer {
        self.try_send(to).unwrap()
    }

    /// Sends the request to a server that may stop before it answers.
    pub fn try_send(self, to: SocketAddr) -> Result<Answer, ureq::Error> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .allow_non_standard_methods(true)
            .timeout_global(self.time_max)
            .build()
            .into();
        let mut request = ureq::http::Request::builder()
            .method(self.method.as_str())
            .uri(format!("http://{to}{}", self.path))
            .header("host", &self.host);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let sent = if self.body.is_empty() {
            agent.run(request.body(()).unwrap())
        } else {
            agent.run(request.body(self.body).unwrap())
        };
        let mut answer = sent?;
        let headers = answer.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        let headers = headers.collect();
        let bytes = answer.body_mut().with_config().limit(64 << 20).read_to_vec()?;
        let body = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Answer { status: answer.status().as_u16(), headers, body, bytes })
    }
}

impl Answer {
    /// The value of a header. Several values are joined by a line break.
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> =
            self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect();
        if values.is_empty() { None } else { Some(values.join("\n")) }
    }

    /// The session cookie that the response sets, as `name=value`.
    pub fn session_cookie(&self) -> Option<String> {
        let cookies = self.header("set-cookie")?;
        let cookie = cookies.lines().find(|cookie| cookie.starts_with("sluice_session="))?;
        cookie.split(';').next().map(str::to_owned)
    }
}
