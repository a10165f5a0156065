//! The value rule: every finite JSON value stays exactly the same between script, host and
//! session. Every other value is rejected, at every depth.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use sluice_sandbox::outcome::Outcome;
use sluice_sandbox::{RunContext, Sandbox, SandboxConfig, Script};
use sluice_session::Session;

use crate::harness::sandbox;
use crate::sandbox::{block_on, build};

/// Keys that a careless program would misinterpret.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("__proto__".to_owned()),
        Just("constructor".to_owned()),
        Just("toJSON".to_owned()),
        Just("length".to_owned()),
        Just(String::new()),
        "[a-zA-Zü😀\u{0}\u{2028} ]{0,8}",
    ]
}

fn number() -> impl Strategy<Value = Value> {
    let finite = proptest::num::f64::ANY.prop_filter("finite", |number| number.is_finite());
    let edges = prop_oneof![
        Just(-0.0),
        Just(f64::MIN_POSITIVE),
        Just(5e-324),
        Just(f64::MAX),
        Just(9_007_199_254_740_991.0),
        Just(9_007_199_254_740_992.0),
        Just(-2_147_483_649.0),
        (-1e6..1e6f64).prop_map(f64::trunc),
    ];
    prop_oneof![finite, edges].prop_map(|number| json!(number))
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number(),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((key(), inner), 0..6)
                .prop_map(|pairs| Value::Object(Map::from_iter(pairs))),
        ]
    })
}

/// Equal in everything that JavaScript can distinguish, including the sign of zero and the order
/// of keys.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().map(f64::to_bits) == b.as_f64().map(f64::to_bits),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((k, a), (l, b))| k == l && same(a, b))
        }
        _ => a == b,
    }
}

async fn script(sandbox: &Sandbox, source: &str) -> Script {
    sandbox.load(&build(sandbox, source).await.1).unwrap()
}

#[test]
fn json_values_stay_exactly_the_same() {
    block_on(async {
        let sandbox = sandbox(&SandboxConfig::default());
        let script = script(
            &sandbox,
            "setVariable('from_request', request.body);
             setVariable('from_session', session.get('kept'));
             session.set('again', { v: session.get('kept') });
             setVariable('from_script', session.get('again').v);",
        )
        .await;
        let mut runner = TestRunner::deterministic();
        for _ in 0..400 {
            let value = value().new_tree(&mut runner).unwrap().current();
            let mut session = Session::default();
            if !value.is_null() {
                session.set("kept", value.clone(), &sluice_limits::Limits::default()).unwrap();
            }
            let request = Arc::new(json!({ "body": value }));
            let context = RunContext { request, session: session.into(), ..RunContext::default() };
            let report = sandbox.run(&script, context).await.unwrap();
            assert_eq!(report.outcome, Outcome::Ok, "{:?}: {value}", report.failure);
            for (way, seen) in &report.effects.variables {
                assert!(same(&value, seen), "{way}: {value} became {seen}");
            }
        }
    });
}

#[test]
fn rejects_other_values_at_every_depth() {
    const UNFIT: [&str; 6] = ["NaN", "Infinity", "-Infinity", "'\\ud800'", "'a\\udfffb'", "1n"];
    block_on(async {
        let sandbox = sandbox(&SandboxConfig::default());
        for unfit in UNFIT {
            let source = format!(
                "const tried = [];
                 const put = (value) => {{ try {{ return setVariable('bad', value) || session.set('bad', value); }} catch {{ return false; }} }};
                 let value = {unfit};
                 for (let depth = 0; depth < 12; depth++) {{
                     tried.push(put(value));
                     value = depth % 2 ? [1, value] : {{ a: 1, b: value }};
                 }}
                 if (typeof {unfit} === 'string') tried.push(put({{ [{unfit}]: 1 }}), put([{{ [{unfit}]: 1 }}]));
                 setVariable('tried', tried);"
            );
            let script = script(&sandbox, &source).await;
            let report = sandbox.run(&script, RunContext::default()).await.unwrap();
            assert_eq!(report.outcome, Outcome::Ok, "{unfit}: {:?}", report.failure);
            let tried = report.effects.variables["tried"].as_array().unwrap();
            assert!(tried.len() >= 12 && tried.iter().all(|got| *got == json!(false)), "{unfit}: {tried:?}");
            let session = report.session.loaded().unwrap();
            assert!(!report.effects.variables.contains_key("bad") && session.get("bad").is_none());
        }
    });
}
