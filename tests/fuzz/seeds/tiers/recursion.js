// Recursion that is too deep, caught and not caught, with values in the frames.
const out = [];
let depth = 0;
function down(a, b) { depth++; return a + down(a + 1, b * 0.5) + b; }
function even(n) { return n === 0 ? true : odd(n - 1); }
function odd(n) { return n === 0 ? false : even(n - 1); }
const fib = (n) => (n < 2 ? n : fib(n - 1) + fib(n - 2));
for (let i = 0; i < 3; i++) {
  try { out.push(down(i, "x")); } catch (e) { out.push(e.name, e.message); } finally { out.push("f" + i); }
}
const array = [1]; array.push(array);
const nested = { toString() { return "" + nested; } };
try { out.push(`${nested}`); } catch (e) { out.push(e.name); }
try { [1].map(function again(x) { return [x].map(again); }); } catch (e) { out.push(e.name); }
out.push(even(200), odd(301), fib(15));
setVariable("out", out);
response.status(201);
console.log(depth > 100);
(function last(x) { const y = x + 1; last(y); return y; })(0);
