//! Known ways to escape from a JavaScript sandbox, each in its own run. None of them has an
//! effect beyond the run: the host does not fail, the script reaches nothing forbidden, and
//! the next run is not changed.

use std::sync::Arc;

use serde_json::json;

use sluice_sandbox::outcome::Outcome;
use sluice_sandbox::{RunContext, RunReport, Sandbox, SandboxConfig, Script};

use crate::harness::sandbox;
use crate::sandbox::{block_on, build};

/// A script that succeeds sets the variable `escaped` to what it reached.
const WAYS: [(&str, &str); 46] = [
    (
        "constructor of a host function",
        "const g = session.get.constructor('return this')(); setVariable('escaped', g !== globalThis && g !== undefined)",
    ),
    (
        "constructor of a host object",
        "const g = request.constructor.constructor('return globalThis')(); setVariable('escaped', 'process' in g || 'require' in g || 'host' in g)",
    ),
    (
        "constructor of an async function",
        "const F = (async () => {}).constructor; const g = await F('return globalThis')(); setVariable('escaped', g !== globalThis || 'host' in g)",
    ),
    (
        "constructor of a generator",
        "const F = Object.getPrototypeOf(function* () {}).constructor; setVariable('escaped', 'host' in F('yield globalThis')().next().value)",
    ),
    (
        "indirect eval",
        "setVariable('escaped', (0, eval)('typeof process + typeof require + typeof std + typeof os') !== 'undefinedundefinedundefinedundefined')",
    ),
    (
        "the caller",
        "function f() { try { return f.caller ?? f.arguments; } catch { return null; } } setVariable('escaped', !!f())",
    ),
    (
        "the loader",
        "let way = false; for (const name of ['std', 'os', 'qjs:std', 'fs', '/etc/passwd', 'file:///etc/passwd', 'sluice:session.js', 'wasi:cli', '']) { try { await import(name); way = name; } catch {} } setVariable('escaped', way)",
    ),
    (
        "the contents of import.meta",
        "setVariable('escaped', Object.values(import.meta).some((value) => String(value).includes('/') && !String(value).startsWith('pages/')))",
    ),
    (
        "redefining a global",
        "let way = 0; for (const name of ['session', 'crypto', 'response', 'Schema', 'console', 'is_customer']) { try { Object.defineProperty(globalThis, name, { value: 1 }); way++; } catch {} try { delete globalThis[name]; way++; } catch {} } setVariable('escaped', way)",
    ),
    (
        "redefining members of globals",
        "let way = 0; for (const [o, k] of [[session, 'get'], [crypto, 'subtle'], [crypto.subtle, 'digest'], [URL.prototype, 'href'], [CryptoKey.prototype, 'x'], [request.query, 'x'], [request, 'ip']]) { try { Object.defineProperty(o, k, { value: 1 }); way++; } catch {} try { Object.setPrototypeOf(o, { x: 1 }); if (o.x) way++; } catch {} } setVariable('escaped', way)",
    ),
    (
        "polluting Object.prototype under the host's glue",
        "Object.prototype.get = () => 'x'; Object.prototype.value = 'x'; Object.prototype.then = null; Object.prototype.toJSON = () => 'polluted'; session.set('a', { b: 1 }); console.log({}); cookie.set('a', 'b', {}); new URL('https://a/?b'); Schema.object({ a: Schema.any() }).validate({})",
    ),
    (
        "polluting Array.prototype under the host's glue",
        "for (const name of ['map', 'filter', 'join', 'push', 'slice', 'includes', 'some', Symbol.iterator]) Array.prototype[name] = () => { throw 'polluted'; }; try { console.log([1], { a: 1 }); } catch {} try { Schema.array().validate([1]); } catch {} try { new URLSearchParams('a=b').get('a'); } catch {}",
    ),
    (
        "polluting String.prototype under the host's glue",
        "String.prototype.isWellFormed = () => true; String.prototype.toWellFormed = () => '\\ud800'; for (const call of [() => session.set('\\ud800', 1), () => session.get('\\ud800'), () => cookie.set('a', 'b'), () => setHeader('a', 'b'), () => redirect('/'), () => secrets.get('\\ud800'), () => session.setFromToken('\\ud800'), () => atob('\\ud800'), () => console.log('x')]) { try { call(); } catch {} }",
    ),
    (
        "replacing JSON and Reflect",
        "JSON.stringify = () => '\"<forged>\"'; JSON.parse = () => ({}); Reflect.ownKeys = () => ['x']; Object.keys = () => ['forged']; setVariable('a', { b: 1 }); setVariable('escaped', getVariable('a').forged !== undefined)",
    ),
    (
        "replacing Promise",
        "Promise.prototype.then = () => { throw 'polluted'; }; Object.defineProperty(Promise, Symbol.species, { value: function () { throw 1; } }); await crypto.subtle.digest('SHA-256', new Uint8Array(1))",
    ),
    (
        "a proxy for a value",
        "for (const trap of ['get', 'ownKeys', 'getOwnPropertyDescriptor', 'has', 'getPrototypeOf']) { try { session.set('a', new Proxy({ a: 1 }, { [trap]() { throw new Error(trap); } })); } catch {} try { setVariable('a', new Proxy([], { [trap]: () => 1e9 })); } catch {} try { console.log(new Proxy({}, { [trap]() { return []; } })); } catch {} }",
    ),
    (
        "a revoked proxy",
        "const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); for (const call of [() => session.set('a', proxy), () => setVariable('a', [proxy]), () => console.log(proxy), () => structuredClone(proxy), () => cookie.set('a', 'b', proxy), () => session.setCustomer(proxy), () => getCrmField(proxy)]) { try { call(); } catch {} }",
    ),
    (
        "a proxy for a global's receiver",
        "for (const f of [session.get, session.set, cookie.set, setVariable, crypto.subtle.digest]) { try { f.call(new Proxy({}, { get() { throw 1; } }), 'a', 'b'); } catch {} try { Reflect.construct(f, [], Object); } catch {} }",
    ),
    (
        "getters in options that call back",
        "let depth = 0; const options = { get path() { if (depth++ < 50) cookie.set('a' + depth, 'b', options); return '/'; } }; cookie.set('a', 'b', options)",
    ),
    (
        "a getter that stops the run inside a call",
        "setVariable('before', 1); setVariable('a', { get b() { response.json('stopped'); } }); setVariable('escaped', 'went on')",
    ),
    (
        "toJSON that changes what is being written",
        "const list = [1, 2, 3]; list[0] = { toJSON() { list.length = 0; return 1; } }; setVariable('a', list); const o = { a: { toJSON() { delete o.b; o.c = 1; return 1; } }, b: 2 }; setVariable('b', o)",
    ),
    (
        "toJSON that never ends",
        "const o = { toJSON() { return { a: o }; } }; try { setVariable('a', o); } catch {} try { session.set('a', o); } catch {}",
    ),
    (
        "keys that are prototypes",
        "const evil = JSON.parse('{\"__proto__\": {\"polluted\": 1}, \"constructor\": {\"prototype\": {\"polluted\": 1}}}'); session.set('a', evil); setVariable('a', evil); const back = session.get('a'); Schema.object({}).validate(evil); structuredClone(evil); setVariable('escaped', ({}).polluted ?? back.polluted)",
    ),
    (
        "prototype keys in the request",
        "setVariable('escaped', ({}).polluted ?? request.query.polluted ?? request.body.polluted ?? request.cookies.polluted)",
    ),
    (
        "prototype keys in a handed-over name",
        "for (const name of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty']) { setVariable(name, { polluted: 1 }); session.set(name, { polluted: 1 }); } setVariable('escaped', ({}).polluted)",
    ),
    (
        "an exception with a hostile shape",
        "throw { get name() { for (;;) ; }, get message() { throw 1; }, get stack() { response.json('x'); }, toString() { throw 1; } }",
    ),
    (
        "an error with hostile properties",
        "const error = new Error('x'); Object.defineProperty(error, 'stack', { get() { throw error; } }); Object.defineProperty(error, 'name', { value: { toString() { throw error; } } }); throw error",
    ),
    (
        "prepareStackTrace",
        "Error.prepareStackTrace = () => { throw new Error('again'); }; Error.stackTraceLimit = 1e9; null.x",
    ),
    (
        "a stack that forges frames",
        "const error = new Error('x'); error.stack = 'at f (/etc/passwd:1:1)\\n at g (pages/test.html:1:1)\\n'.repeat(1000); throw error",
    ),
    (
        "a rejection with a hostile reason",
        "Promise.reject({ toString() { throw 1; }, get message() { for (;;) ; } })",
    ),
    ("microtasks without end", "const again = () => Promise.resolve().then(again); again()"),
    ("thenables without end", "const t = { then(f) { f(t); } }; await t"),
    ("a regular expression that backtracks", "/^(a+)+$/.test('a'.repeat(60) + 'b')"),
    ("a regular expression with lookbehind that backtracks", "'x'.repeat(5000).replace(/(?<=(x*)*)y/g, '')"),
    (
        "a regular expression without end",
        "/(?:)*?(?:a|b|ab)*c/.test('ab'.repeat(40)); new RegExp('(?:'.repeat(300) + 'a' + ')*'.repeat(300)).test('a'.repeat(40) + 'b')",
    ),
    ("recursion", "const f = () => f(); f()"),
    (
        "recursion through the host's glue",
        "const o = { get a() { console.log(o); session.set('a', o); return o; } }; console.log(o)",
    ),
    ("nested source", "new Function('['.repeat(1e5))"),
    ("typed arrays", "const kept = []; for (let i = 0; ; i++) kept.push(new Float64Array(1 << 14).fill(i))"),
    (
        "sizes beyond any memory",
        "let way = 0; for (const make of [() => new ArrayBuffer(2 ** 40), () => new Uint8Array(2 ** 32), () => new ArrayBuffer(8, { maxByteLength: 2 ** 40 }), () => new Array(2 ** 32 - 1).fill(0), () => 'x'.repeat(2 ** 30), () => 'x'.padEnd(2 ** 31), () => Array(2 ** 28).join('xxxxxxxx'), () => [].concat(...Array(1e5).fill(Array(1e5)))]) { try { make(); way++; } catch {} } setVariable('escaped', way)",
    ),
    ("strings that double", "let s = 'x'; for (;;) s += s"),
    ("ropes and slices", "const parts = []; for (;;) parts.push(('x'.repeat(1000) + parts.length).slice(1))"),
    (
        "resized buffers under a view",
        "const buffer = new ArrayBuffer(64, { maxByteLength: 1024 }); const view = new Uint8Array(buffer); crypto.getRandomValues(view); buffer.resize(0); try { crypto.getRandomValues(view); } catch {} try { await crypto.subtle.digest('SHA-256', view); } catch {} try { structuredClone(view); } catch {} try { new TextDecoder().decode(view); } catch {}",
    ),
    (
        "detached buffers",
        "const bytes = new Uint8Array(64); structuredClone(bytes.buffer, { transfer: [bytes.buffer] }); for (const call of [() => crypto.getRandomValues(bytes), () => new TextDecoder().decode(bytes)]) { try { call(); } catch {} } try { await crypto.subtle.digest('SHA-256', bytes); } catch {}",
    ),
    (
        "a large object for the host",
        "const o = {}; for (let i = 0; i < 20000; i++) o['k' + i] = i; setVariable('escaped', session.set('a', o))",
    ),
    (
        "finalizers",
        "new FinalizationRegistry(() => { for (;;) ; }).register({}, 1); const kept = []; for (let i = 0; i < 50000; i++) kept.push(new WeakRef({}))",
    ),
];

/// A script that checks whether its run is fresh.
const CANARY: &str = "
    const wrong = [];
    if (({}).polluted !== undefined || [].polluted !== undefined) wrong.push('prototype');
    if (Object.keys(Object.prototype).length + Object.keys(Array.prototype).length + Object.keys(Function.prototype).length) wrong.push('keys');
    if (JSON.stringify({ a: [1] }) !== '{\"a\":[1]}' || [1, 2].map((n) => n * 2).join() !== '2,4') wrong.push('builtins');
    if ('a'.isWellFormed() !== true || Error.prepareStackTrace !== undefined) wrong.push('strings');
    if (session.get('a') !== null || is_customer || getVariable('escaped') !== null) wrong.push('state');
    if (!session.set('k', 1) || !Schema.number().validate('5').valid) wrong.push('host');
    setVariable('wrong', wrong);
";

async fn script(sandbox: &Sandbox, source: &str) -> Script {
    sandbox.load(&build(sandbox, source).await.1).unwrap()
}

async fn run(sandbox: &Sandbox, script: &Script) -> RunReport {
    let evil = json!({"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}});
    let request = json!({"query": evil, "body": evil, "cookies": evil});
    let mut context = RunContext { request: Arc::new(request), ..RunContext::default() };
    context.limits.fuel = 300_000_000;
    sandbox.run(script, context).await.unwrap()
}

#[test]
fn no_known_escape_works() {
    block_on(async {
        let sandbox = sandbox(&SandboxConfig::default());
        let canary = script(&sandbox, CANARY).await;
        for (way, source) in WAYS {
            let report = run(&sandbox, &script(&sandbox, source).await).await;
            assert_ne!(report.outcome, Outcome::Host, "{way}: {:?}", report.failure);
            let escaped = report.effects.variables.get("escaped");
            let found_nothing =
                escaped.is_none_or(|found| found.is_null() || *found == json!(false) || *found == json!(0));
            assert!(found_nothing, "{way} found {escaped:?}");
            let next = run(&sandbox, &canary).await;
            assert_eq!(next.outcome, Outcome::Ok, "after {way}: {:?}", next.failure);
            assert_eq!(next.effects.variables["wrong"], json!([]), "after {way}");
        }
    });
}
