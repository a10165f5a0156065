//! Invalid and unusual input has the same result on every database.

use serde_json::{Value, json};

use sluice_test_support::postgres::Database;

use super::host;
use crate::harness::{Server, TestSite};

const PAGE: &str = r#"<script scope="backend">
    const at = (referenceId) => ({ slug: 'log', referenceType: 'line', referenceId });
    const same = (a, b) => typeof b === 'object' ? JSON.stringify(a) === JSON.stringify(b) : Object.is(a, b);
    const values = {
        sql: "'; DROP TABLE crm_value; -- $1 ?1 \" \\", nul: 'a\0b\0', lone: 'a\ud800b', pair: '\ud83d\ude00',
        long: 'é'.repeat(10000), longer: 'é'.repeat(10001), empty: '', no: false, zero: -0,
        largest: Number.MAX_VALUE, smallest: 5e-324, beyond: 2 ** 53 + 2, negative: -(2 ** 63),
        nan: NaN, infinite: -Infinity, list: [], proto: JSON.parse('{"z":1,"__proto__":{"a":-0},"a":"\\u0000"}'),
        inside: { a: ['\udc00'] }, key: { '\ud800': 1 }, large: { a: 'x'.repeat(10 * 1024) },
    };
    const seen = { values: {}, references: {}, keys: {} };
    for (const [name, value] of Object.entries(values)) {
        const stored = setCrmField({ ...at('1'), fieldKey: name, value });
        const got = getCrmField({ ...at('1'), fieldKey: name });
        seen.values[name] = [stored, got === null ? null : same(got, value)];
    }
    const references = ["'", '%', 'a\0', 'a', 'A', 'a ', 'é', 'e\u0301', 'x'.repeat(512), 'x'.repeat(513),
        '{', '\\', '\ud800', ''];
    for (const id of references) {
        const stored = setCrmField({ ...at(id), fieldKey: 'id', value: 'of ' + id.length });
        seen.references[JSON.stringify(id).slice(0, 20) + id.length] =
            [stored, getCrmEntries(at(id)).length, getCrmField({ ...at(id), fieldKey: 'id' })];
    }
    const keys = ['__proto__', 'constructor', 'a.b', '-', 'a b', "a'", 'é', 'k\0', 'x'.repeat(128), 'x'.repeat(129)];
    for (const fieldKey of keys) {
        const stored = setCrmField({ ...at('keys'), fieldKey, value: fieldKey });
        seen.keys[fieldKey.slice(0, 20) + fieldKey.length] = [stored, getCrmField({ ...at('keys'), fieldKey })];
    }
    seen.all = getCrmEntries(at('keys')).map(entry => Object.keys(entry.values_flat));
    response.json(seen);
</script>"#;

fn seen(server: &Server) -> Value {
    let answer = server.get("localhost", "/");
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

#[test]
fn rejects_input_or_stores_it_exactly() {
    let site = TestSite::with(&[("pages/index.html", PAGE), ("crm.toml", "[[entity]]\nslug = 'log'\n")]);
    site.write("brands/demo/brand.toml", "default = true\n[limits]\ncrm_calls_max = 200\n");
    let database = Database::create();
    let sqlite = seen(&Server::start(site.path()));
    let postgres = seen(&host(site.path(), &database.url()));
    let bounced = seen(&host(site.path(), &database.bouncer_url()));
    assert_eq!(postgres, sqlite);
    assert_eq!(bounced["values"], sqlite["values"]);

    let refused = ["lone", "longer", "nan", "infinite", "inside", "key", "large"];
    for (name, what) in sqlite["values"].as_object().unwrap() {
        let expected =
            if refused.contains(&name.as_str()) { json!([false, null]) } else { json!([true, true]) };
        assert_eq!(*what, expected, "{name}");
    }
    let stored = |group: &str| {
        let all = sqlite[group].as_object().unwrap();
        all.values().filter(|what| what[0] == true).count()
    };
    assert_eq!((stored("references"), stored("keys")), (9, 5), "{sqlite:#}");
    let one_each = sqlite["references"].as_object().unwrap().values().filter(|what| what[0] == true);
    assert!(one_each.into_iter().all(|what| what[1] == 1), "each reference has its own entry: {sqlite:#}");
}
