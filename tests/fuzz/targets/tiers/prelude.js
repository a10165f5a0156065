let ticks = 0;
const out = [], pending = [];
const tick = () => ++ticks > 300;
const show = (v, d = 0) => {
  const t = typeof v;
  if (t === "bigint") return v + "n";
  if (t === "symbol") return v.toString();
  if (t === "function") return "function " + v.name + v.length;
  if (t === "string") return JSON.stringify(v.length > 60 ? v.length : v);
  if (t !== "object" || v === null) return Object.is(v, -0) ? "-0" : String(v);
  if (d > 2) return "…";
  if (Array.isArray(v)) {
    let s = "";
    for (let i = 0; i < v.length && i < 9; i++) s += (i in v ? show(v[i], d + 1) : "hole") + ",";
    return "[" + s + "]" + v.length;
  }
  if (v instanceof Error) return err(v);
  const keys = Object.keys(v).slice(0, 9);
  return "{" + keys.map((k) => { try { return k + ":" + show(v[k], d + 1); } catch (e) { return k + "!"; } }).join() + "}";
};
const err = (e) => (e instanceof Error ? e.name + ": " + e.message + " @" + e.stack : show(e));
const log = (...a) => {
  const text = a.map((x) => show(x)).join(" ");
  if (out.length < 300) out.push(text);
  console.log(text);
};
const at = (o, k) => o?.[typeof k === "object" && k ? "o" : k];
const str = (v) => { try { return String(v); } catch (e) { return "?"; } };
const num = (v) => { try { return Number(v); } catch (e) { return 0; } };
const spawn = (p) => { pending.push(p.then((v) => log("then", v), (e) => log("rejected", err(e)))); };
function* iter(n) { try { for (let i = 0; i < n; i++) { const got = yield i * 1.5; if (got) log("got", got); } } finally { log("closed"); } }
const bad = { [Symbol.iterator]() { let n = 0; return { next() { log("next"); if (n++ > 2) throw new RangeError("next"); return { value: n, done: false }; }, return() { log("return"); return {}; } }; } };
class Base { constructor(a) { this.a = a; } m(b) { return this.a + b; } get g() { return this.a; } set g(v) { log("set g", v); this.a = v; } static s(x) { return [this.name, x]; } }
const proto = { a: 1, get b() { log("get b"); return this.a; }, set b(v) { log("set b", v); this.c = v; } };
const shapes = [{ a: 1, b: 2 }, { b: 3, a: "x" }, Object.create(proto), Object.create(Object.create(proto), { a: { value: 7 } }), Object.freeze({ a: 1, b: [2] }), new Base(5), [1, , 3], "abc", new Proxy({ a: 9 }, { get(t, k) { log("trap", typeof k); return t[k]; } })];
function endless() { depth++; return 1 + endless(); }
let depth = 0;
