// Generators, async functions, and their order.
const out = [];
const log = (...a) => { out.push(a.map(String).join(" ")); };
function* numbers(n) { try { for (let i = 0; i < n; i++) { const got = yield i * 1.5; if (got) log("got", got); } return "end"; } catch (e) { log("caught", e); yield "late"; } finally { log("closed"); } }
function* all() { const end = yield* numbers(2); log(end); yield [...numbers(1)]; }
const g = numbers(5);
log(g.next().value, g.next("a").value, g.throw("thrown").value, g.return(7).value, g.next().done);
for (const x of all()) log(x);
for (const x of numbers(4)) if (x > 1) break;
const sleep = (v) => new Promise((resolve) => resolve(v));
async function work(n) { let sum = 0; for (let i = 0; i < n; i++) { sum += await sleep(i); log("work", n, i, sum); if (sum > 4) throw new RangeError("sum " + sum); } return sum; }
async function* stream() { for (let i = 0; i < 3; i++) { await null; yield i; } }
const ends = await Promise.allSettled([work(2), work(3), work(9), (async () => { try { await Promise.reject(new Error("no")); } catch (e) { return e.message; } finally { log("finally"); } })()]);
log(JSON.stringify(ends.map((e) => [e.status, e.value, e.reason?.stack])));
for await (const x of stream()) log("stream", x);
for await (const x of [sleep(1), 2]) log(x);
setVariable("out", out);
console.log("before the end");
const fail = async (n) => { await null; return n ? fail(n - 1) : null.x; };
await fail(3);
