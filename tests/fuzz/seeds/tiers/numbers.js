// Arithmetic over all kinds of values: integers that overflow, -0, NaN, BigInt, text, objects.
const out = [];
const show = (v) => (typeof v === "bigint" ? v + "n" : typeof v === "symbol" ? "symbol" : Object.is(v, -0) ? "-0" : typeof v + String(v));
const values = () => [0, -0, 1, -1, 7, 31, 2147483647, -2147483648, 2147483648, 4294967295, 0.5, 1e300, NaN, Infinity, true, null, undefined, "", "12", "x", 10n, -3n, [], [5], {}, { valueOf: () => 3 }, Symbol.iterator];
const binary = [
  (a, b) => a + b, (a, b) => a - b, (a, b) => a * b, (a, b) => a / b, (a, b) => a % b, (a, b) => a ** b,
  (a, b) => a & b, (a, b) => a | b, (a, b) => a ^ b, (a, b) => a << b, (a, b) => a >> b, (a, b) => a >>> b,
  (a, b) => a < b, (a, b) => a <= b, (a, b) => a > b, (a, b) => a >= b, (a, b) => a == b, (a, b) => a != b, (a, b) => a === b, (a, b) => a !== b,
  (a, b) => { let c = a; c += b; c -= b; return c; },
  (a, b) => { a++; b--; return [a, b].map(show).join(); },
  (a, b) => { let c = b; if (a < b) c = 1; else if (a == b) c = 2; while (!c) c = "done"; return c; },
];
for (let i = 0; i < binary.length; i++) {
  let line = "";
  for (const a of values()) for (const b of values()) {
    try { line += show(binary[i](a, b)) + " "; } catch (e) { line += e.message + " "; }
  }
  let hash = 0;
  for (let k = 0; k < line.length; k++) hash = (Math.imul(hash, 31) + line.charCodeAt(k)) | 0;
  out.push([i, line.length, hash, line.slice(0, 200)]);
}
const unary = [(a) => -a, (a) => +a, (a) => ~a, (a) => !a, (a) => typeof a, (a) => void a, (a) => a++, (a) => --a, (a) => `${a}`];
for (const f of unary) out.push(values().map((v) => { try { return show(f(v)); } catch (e) { return e.message; } }).join(" "));
setVariable("out", out);
