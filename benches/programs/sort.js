const numbers = [];
let seed = 12345;
for (let i = 0; i < 6000; i++) {
  seed = (seed * 1103 + 12345) & 0xffffff;
  numbers[i] = seed;
}
numbers.sort((a, b) => a - b);
setVariable("result", numbers[3000]);
