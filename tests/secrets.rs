//! Secrets do not leave a run by mistake: not in the log, in traces, in the operators' console, nor
//! in the output of the tools.

use crate::author_run::{err, out, sluice};
use crate::harness::otlp::OtlpReceiver;
use crate::harness::{ServerOptions, TestSite};

const VARIABLE: &str = "SLUICE_SECRET_DEMO_API_KEY";
/// Has characters that JSON, URLs and `{:?}` escape.
const KEY: &str = "S3cr3t\"k/e+y'v\\Z1";

/// Every way in which a script can put a secret into a text for its author.
const PAGE: &str = r#"<script scope="backend">
  const key = secrets.get('api_key');
  const hex = [...new TextEncoder().encode(key)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  console.log('plain', key, { key }, [key], JSON.stringify({ key }), `${key}${key}`);
  console.warn(btoa(key), btoa('user:' + key), encodeURIComponent(key), escape(key), hex);
  console.log(String(new URLSearchParams({ key })));
  console.log('x'.repeat(9995) + key);
  setVariable(key, 1);
  setHeader(key, 'x');
  setHeader('x y' + key, 'x');
  session.set('', key);
  session.set('customer' + key, 1);
  cookie.set(key, 'x');
  cookie.set('x', 'y', { path: key });
  try { getCrmField({ slug: 'x' + key, referenceId: key, fieldKey: key }); } catch (error) { console.error(error); }
  try { setCrmField({ slug: 'things', referenceType: key, referenceId: '1', fieldKey: 'name', value: key }); }
  catch (error) { console.error(error.message); }
  try { redirect('javascript:' + key); } catch (error) { console.error(error); }
  try { redirect('javascript:' + 'x'.repeat(180) + key); } catch (error) { console.error(error); }
  try { new URL(key); } catch (error) { console.error(error); }
  try { JSON.parse(key); } catch (error) { console.error(error); }
  try { eval('let ' + key); } catch (error) { console.error(error); }
  setVariable('url', 'javascript:' + key);
  setVariable('long', 'javascript:' + 'x'.repeat(40) + key);
  const fail = { [key]() { const error = new Error('failed with ' + key); error.name = 'Bad' + key; throw error; } };
  fail[key]();
</script><a href="{{ var.url }}">a</a><a href="{{ var.long }}">b</a>"#;

const TEST: &str = r#"
  test('says ' + secrets.get('api_key'), () => {
    console.log(secrets.get('api_key'));
    expect({ key: secrets.get('api_key') }).toEqual({ key: 'x' + secrets.get('api_key') });
  });
"#;

fn site() -> TestSite {
    TestSite::with(&[
        ("pages/index.html", PAGE),
        ("pages/index.test.js", TEST),
        (
            "crm.toml",
            "[[entity]]\nslug = 'things'\nname = 'Things'\nmode = 'data'\n[[entity.field]]\nkey = 'name'\n\
             label = 'Name'\ntype = 'text'\n",
        ),
    ])
}

/// Fails if the text has the secret in any form, or most of it.
fn assert_masked(what: &str, text: &str) {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    assert!(text.contains("[secret API_KEY]"), "{what} must show where the secret was:\n{text}");
    let hex: String = KEY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let [plain, user] = [KEY.to_owned(), format!("user:{KEY}")].map(|text| STANDARD.encode(text));
    let forms = ["S3cr3t", "s3cr3t", "k/e", "k%2Fe", &hex[4..20], &plain[4..16], &user[8..20]];
    for form in forms {
        assert!(!text.contains(form), "{what} contains {form:?}:\n{text}");
    }
}

#[test]
fn server_masks_secrets_in_the_log_in_telemetry_and_for_operators() {
    let site = site();
    let receiver = OtlpReceiver::start();
    let server = ServerOptions::of(site.path())
        .env(VARIABLE, KEY)
        .env("SLUICE_LOG", "debug")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint())
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .env("OTEL_BLRP_SCHEDULE_DELAY", "50")
        .start();
    server.get("localhost", "/");
    server.wait_for_metric("sluice_execution_log_runs_total", &["result=\"written\""], 1.0);
    server.wait_told("printed #blocked");
    assert_masked("the log", &format!("{:?}", server.log_entries(&[])));
    server.wait_until("the log arrives", || {
        let logs = receiver.received().logs;
        logs.iter().any(|log| format!("{:?}", log.body).contains("printed #blocked"))
    });
    assert_masked("telemetry", &String::from_utf8_lossy(&receiver.received().raw));
    let list = server.admin("/api/brands/demo/runs").body;
    assert_masked("the admin API", &list);
    let runs: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_masked("the console", &server.admin(&format!("/brands/demo/runs/{}", runs[0]["id"])).body);
}

#[test]
fn tools_mask_secrets_in_what_they_print() {
    let site = site();
    let tool = |args: &[&str]| {
        let done = sluice(site.path(), args).env(VARIABLE, KEY).output().unwrap();
        format!("{}{}", out(&done), err(&done))
    };
    assert_masked("sluice run", &tool(&["run", "/"]));
    let json = tool(&["run", "/", "--json"]);
    assert_masked("sluice run --json", &json);
    let shown: serde_json::Value = serde_json::from_str(&json).expect("masked JSON is still JSON");
    assert_eq!(shown["variables"]["url"], "javascript:[secret API_KEY]");
    for format in ["pretty", "tap"] {
        assert_masked("sluice test", &tool(&["test", "--format", format]));
    }
}

#[test]
fn dev_masks_secrets_in_the_page_and_in_the_terminal() {
    let site = site();
    let server = ServerOptions::dev(site.path()).env(VARIABLE, KEY).start();
    let page = server.get("localhost", "/").body;
    let (_, mistakes) = page.split_once("data-mistakes=\"").unwrap();
    let mistakes = mistakes.split_once('"').unwrap().0.replace("&quot;", "\"");
    assert_masked("the page", &mistakes);
    assert_masked("the terminal", &server.wait_printed("API_KEY"));
}

#[test]
fn server_does_not_start_with_a_secret_that_cannot_be_masked() {
    let site = site();
    let done = sluice(site.path(), &["run", "/"]).env(VARIABLE, "12345").output().unwrap();
    let said = err(&done);
    assert!(said.contains("SLUICE_SECRET_DEMO_API_KEY: a secret of 5 bytes cannot be recognized"), "{said}");
    assert!(!said.contains("12345"), "{said}");
}

#[test]
fn bounds_the_message_of_an_exception_that_repeats_a_secret() {
    let page = "<script scope=\"backend\">throw new Error(secrets.get('api_key').repeat(200000))</script>";
    let site = TestSite::with(&[("pages/index.html", page)]);
    let server = ServerOptions::of(site.path()).env(VARIABLE, "long-secret").start();
    server.get("localhost", "/");
    let run = server.runs("demo", 1);
    let message = run[0]["message"].as_str().unwrap();
    assert!(message.len() <= 8_192 && message.contains("[secret API_KEY][secret API_KEY]"), "{message}");
}
