// Loops, labels, closures that capture loop variables, switch, exceptions, and values that are not there yet.
const out = [];
const log = (...a) => { out.push(a.map(String).join(" ")); };
function loops(n) {
  const late = [];
  outer: for (let i = 0, j = 10; i < n; i++, j--) {
    late.push(() => `${i}:${j++}`);
    for (var k = 0; ; k++) {
      if (k === 3) continue outer;
      if (i === 4) break outer;
      if (k % 2) continue;
      do { log("do", i, k); } while (--j > 20);
    }
  }
  log(k, late.map((f) => f()), late.map((f) => f()));
  for (const key in { a: 1, b: 2, __proto__: { c: 3 } }) late.push(() => key);
  for (const [a, b = a] of [[1], [2, 3], "xy"]) { if (a === 2) continue; late.push(() => a + b); }
  return late.map((f) => f()).join();
}
function finals(kind) {
  let steps = "";
  const run = () => {
    for (const x of [1, 2, 3]) {
      try {
        steps += "t" + x;
        if (kind === "return") return "returned";
        if (kind === "break") break;
        if (kind === "continue") continue;
        if (kind === "throw") throw new RangeError("x" + x);
        if (kind === "nested") { try { null.x; } finally { steps += "n"; } }
      } catch (e) {
        steps += e.name;
        if (x === 2) throw e;
      } finally {
        steps += "f" + x;
        if (kind === "override") return steps;
      }
    }
    return "end";
  };
  try { return [run(), steps]; } catch (e) { return [e.message, e.stack, steps]; }
}
function early() {
  const read = () => value;
  const write = () => { value = 2; };
  for (const f of [read, write]) try { log(f()); } catch (e) { log(e.name, e.message, e.stack); }
  try { log(value); } catch (e) { log(e.message); }
  let value = 1;
  write();
  const fixed = value;
  try { fixed = 3; } catch (e) { log(e.message, e.stack); }
  return read() + fixed;
}
function chosen(v) {
  let path = "";
  switch (v) { case 1: path += 1; case "1": path += "s"; break; default: path += "d"; case null: path += "n"; { let v = 2; path += (() => v)(); } }
  return path;
}
log(loops(6));
for (const kind of ["return", "break", "continue", "throw", "nested", "override", ""]) log(finals(kind));
log(early(), [1, "1", 2, null, undefined].map(chosen));
for (const bad of [0, 1, 2]) {
  const iterable = { [Symbol.iterator]() { let n = 0; return { next() { if (bad === 1 && n > 1) throw new Error("next"); return { value: n, done: n++ > 3 }; }, return() { log("closed"); if (bad === 2) throw new Error("return"); return {}; } }; } };
  try { for (const x of iterable) { if (x === 2) break; } log("after"); } catch (e) { log(e.message); }
  try { for (const x of iterable) { if (x === 1) throw new Error("body"); } } catch (e) { log(e.message); }
  try { const [a, b] = iterable; log(a, b, ...iterable); } catch (e) { log(e.message); }
}
setVariable("out", out);
