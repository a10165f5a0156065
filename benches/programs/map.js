const counts = new Map();
for (let i = 0; i < 20000; i++) {
  const key = "k" + (i % 97);
  counts.set(key, (counts.get(key) || 0) + i);
}
let sum = 0;
for (const [, count] of counts) sum += count;
setVariable("result", sum);
