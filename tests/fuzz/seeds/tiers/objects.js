// Properties of several shapes, prototypes, frozen objects, proxies, classes, destructuring, spread, optional chaining.
const out = [];
const tried = (f, ...a) => { try { return f(...a); } catch (e) { return e.name + ": " + e.message + " " + e.stack; } };
const log = (...a) => { out.push(a.map((x) => tried(JSON.stringify, x) ?? String(x)).join(" ")); };
const proto = { a: 1, get b() { return this.a + 1; }, set b(v) { this.c = v; } };
class Base {
  #p = 1; static made = 0;
  constructor(a) { this.a = a; Base.made++; }
  get b() { return this.#p; } set b(v) { this.#p = v; }
  m(x) { return [this.a, x, super.toString === undefined, new.target]; }
  static has(o) { return #p in o; }
}
class Derived extends Base { constructor(a) { const f = () => super(a); f(); this.z = 1; } m(x) { return super.m(x).concat(this.b); } }
const shapes = () => [{ a: 1, b: 2 }, { b: 3, a: "x" }, Object.create(proto), Object.create(proto, { a: { value: 7 } }), Object.freeze({ a: 1, b: [2] }), new Base(5), new Derived(6), [1, , 3], "abc", 5, null, undefined, new Proxy({ a: 9 }, {}), { get a() { throw new Error("get"); }, set b(v) { throw new Error("set"); } }, Object.preventExtensions({}), () => 1];
const uses = [
  (o) => o.a, (o) => o.b, (o) => o?.a?.length, (o) => o["b"], (o) => o[1], (o) => o.length,
  (o) => { o.a = 4; return o.a; }, (o) => { o.b = 5; return [o.b, o.c]; }, (o) => { o[0] = 6; o[9] = 7; return o.length; },
  (o) => o.a++, (o) => ++o.b, (o) => (o.a += "!"), (o) => (o.b ??= 8), (o) => o[0]--, (o) => (o["x" + 1] ||= 2),
  (o) => delete o.a, (o) => "a" in o, (o) => o instanceof Base, (o) => o.m(1), (o) => o?.m?.(2), (o) => Base.has(o),
  (o) => { const { a, b: [c] = [1], ...rest } = o; return [a, c, rest]; }, (o) => { let [x, , y = 3, ...z] = o; return [x, y, z]; },
  (o) => ({ ...o, a: 0 }), (o) => [...o], (o) => Math.max(...o), (o) => { o.length = 1; return o; }, (o) => `${o}`,
  (o) => { for (const k in o) { if (k === "b") return k; } }, (o) => { [o.a, o.b] = [o.b, o.a]; return [o.a, o.b]; }, (o) => new o(), (o) => o(),
];
for (const use of uses) for (let round = 0; round < 2; round++) log(...shapes().map((o) => tried(use, o)));
function parameters(a, b = a + 1, { c = b, d } = {}, ...rest) { return [a, b, c, d, rest, arguments.length, typeof this]; }
log(parameters(), parameters(1), parameters(1, undefined, { c: 2 }, 3, 4), parameters.call(1, ...[1, 2, 3], ...new Set([4])), tried(parameters, 1, 2, null), parameters.length);
function tag(parts, ...values) { return parts.raw.join("|") + values.join(); }
log(tag`a${1}\n${2}c`, tag``, ((x) => tag`${x}`)(3), Base.made);
log([3, 1, 2].sort((a, b) => a - b), [3, , 1, undefined, 2].sort((a, b) => b - a), [1, 2, 3].reduce((a, x, i) => a * x + i), tried(() => [].reduce((a) => a)), tried(() => [2, 1].sort(() => { throw new TypeError("compare"); })));
setVariable("out", out);
