//! Controls Chromium through WebDriver.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::http::Request;

const PATIENCE: Duration = Duration::from_secs(30);

/// A browser window. Dropping it closes the window and its driver.
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
}

impl Browser {
    /// Starts Chromium and its driver.
    pub fn open() -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts (Debian's chromium-driver; `make setup` installs it)");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines
            .find_map(|line| {
                line.split_once("successfully on port ")
                    .map(|(_, port)| port.trim_end_matches('.').to_owned())
            })
            .expect("chromedriver names its port");
        // The driver must not block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let address = format!("127.0.0.1:{port}").parse().unwrap();
        let mut browser = Self { driver, address, session: String::new() };
        let options = json!({
            "args": [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--disable-dev-shm-usage", "--window-size=1000,900",
            ],
        });
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let created = browser.command("POST", "/session", &capabilities);
        browser.session = created["sessionId"].as_str().unwrap().to_owned();
        browser
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        self.try_command(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn try_command(&self, method: &str, path: &str, body: &Value) -> Result<Value, Value> {
        let mut request = Request::new(method, path).host("localhost");
        if method == "POST" {
            request = request.header("content-type", "application/json").body(body.to_string().as_bytes());
        }
        let answer = request.send(self.address);
        let value: Value = serde_json::from_str(&answer.body).unwrap();
        if answer.status == 200 { Ok(value["value"].clone()) } else { Err(value) }
    }

    /// Opens an address.
    pub fn go(&self, url: &str) {
        self.command("POST", &format!("/session/{}/url", self.session), &json!({"url": url}));
    }

    /// The value of a JavaScript expression in the page.
    pub fn eval(&self, expression: &str) -> Value {
        self.try_eval(expression).unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// The same, but fails instead of panicking: the page may be reloading.
    fn try_eval(&self, expression: &str) -> Result<Value, Value> {
        let script = json!({"script": format!("return ({expression})"), "args": []});
        self.try_command("POST", &format!("/session/{}/execute/sync", self.session), &script)
    }

    /// Waits until the expression has the value.
    pub fn wait_for(&self, expression: &str, value: &Value) {
        let started = Instant::now();
        loop {
            let found = self.try_eval(expression);
            if found.as_ref() == Ok(value) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{expression} is {found:?}, not {value}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Types into the element and then leaves it.
    pub fn fill(&self, selector: &str, text: &str) {
        let found = self.find(selector);
        self.command("POST", &format!("/session/{}/element/{found}/clear", self.session), &json!({}));
        self.command(
            "POST",
            &format!("/session/{}/element/{found}/value", self.session),
            &json!({"text": text}),
        );
    }

    /// Clicks an element. If the page replaced it after it was found, finds it again.
    pub fn click(&self, selector: &str) {
        let started = Instant::now();
        loop {
            let found = self.find(selector);
            let path = format!("/session/{}/element/{found}/click", self.session);
            match self.try_command("POST", &path, &json!({})) {
                Ok(_) => return,
                Err(error) if is_gone(&error["value"]) => {
                    assert!(started.elapsed() < PATIENCE, "{selector} is replaced again and again");
                }
                Err(error) => panic!("click on {selector}: {error}"),
            }
        }
    }

    /// Presses the mouse on what a selector finds first and releases it after a tenth of a second, at the same place, as
    /// a hand does. Meanwhile, the page can see that the element has the focus.
    pub fn click_by_hand(&self, selector: &str) {
        let element = json!({"element-6066-11e4-a52e-4f735466cecf": self.find(selector)});
        let actions = json!({"actions": [{"type": "pointer", "id": "mouse", "actions": [
            {"type": "pointerMove", "origin": element, "x": 0, "y": 0, "duration": 0},
            {"type": "pointerDown", "button": 0},
            {"type": "pause", "duration": 100},
            {"type": "pointerUp", "button": 0},
        ]}]});
        self.command("POST", &format!("/session/{}/actions", self.session), &actions);
    }

    /// Presses and releases a key.
    pub fn press(&self, key: &str) {
        let presses = ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key}));
        let actions = json!({"actions": [{"type": "key", "id": "keys", "actions": presses}]});
        self.command("POST", &format!("/session/{}/actions", self.session), &actions);
    }

    /// The window's inner size, in CSS pixels.
    pub fn resize(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Sets the colour scheme that the visitor prefers: `light` or `dark`.
    pub fn prefer(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Sends a command of the DevTools protocol, and returns its result.
    pub fn devtools(&self, name: &str, params: &Value) -> Value {
        let command = json!({"cmd": name, "params": params});
        self.command("POST", &format!("/session/{}/goog/cdp/execute", self.session), &command)
    }

    /// What the browser's console says since the last call: warnings, errors and requests that failed.
    pub fn log(&self) -> Vec<String> {
        let kind = json!({"type": "browser"});
        let lines = self.command("POST", &format!("/session/{}/se/log", self.session), &kind);
        let message = |line: &Value| line["message"].as_str().unwrap_or_default().to_owned();
        lines.as_array().into_iter().flatten().map(message).collect()
    }

    /// The whole page as a PNG, in base64.
    pub fn picture(&self) -> String {
        let params = json!({"format": "png", "captureBeyondViewport": true});
        self.devtools("Page.captureScreenshot", &params)["data"].as_str().unwrap().to_owned()
    }

    fn find(&self, selector: &str) -> String {
        let query = json!({"using": "css selector", "value": selector});
        let found = self.command("POST", &format!("/session/{}/element", self.session), &query);
        found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.command("DELETE", &format!("/session/{}", self.session), &Value::Null);
        }
        // Killing fails if the driver has ended already.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Whether a command failed because the page replaced the element after it was found. Chromium has
/// two words for it.
fn is_gone(error: &Value) -> bool {
    error["error"] == "stale element reference"
        || error["message"]
            .as_str()
            .is_some_and(|message| message.contains("does not belong to the document"))
}
