const rows = [];
for (let i = 0; i < 200; i++) rows.push({ price: i * 1.25, ok: i % 3 === 0 });
let sum = 0;
for (let i = 0; i < 60; i++) {
  sum += rows
    .filter((row) => row.ok)
    .map((row) => row.price * 2)
    .reduce((a, b) => a + b, 0);
}
setVariable("result", sum);
