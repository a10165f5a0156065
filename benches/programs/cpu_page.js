const fib = (n) => (n < 2 ? n : fib(n - 1) + fib(n - 2));
let seed = 12345;
const numbers = [];
for (let i = 0; i < 5000; i++) {
  seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
  numbers.push(seed);
}
numbers.sort((a, b) => a - b);
const rows = [];
for (let i = 0; i < 250; i++) {
  rows.push({ id: i, key: "key-" + i, value: numbers[i * 20], text: "number " + ((i * 31) % 97) });
}
const json = JSON.stringify(rows);
let hash = 0x811c9dc5;
for (const row of JSON.parse(json)) {
  hash = Math.imul(hash ^ (row.value & 0xffff) ^ row.text.length, 0x01000193) >>> 0;
}
for (const number of numbers) hash = Math.imul(hash ^ (number & 255), 0x01000193) >>> 0;
setVariable("result", `${fib(22)} ${numbers[2500]} ${json.length} ${hash}`);
