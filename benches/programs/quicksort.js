function sort(numbers, low, high) {
  while (low < high) {
    const pivot = numbers[(low + high) >> 1];
    let i = low;
    let j = high;
    while (i <= j) {
      while (numbers[i] < pivot) i++;
      while (numbers[j] > pivot) j--;
      if (i <= j) {
        const number = numbers[i];
        numbers[i] = numbers[j];
        numbers[j] = number;
        i++;
        j--;
      }
    }
    if (j - low < high - i) {
      sort(numbers, low, j);
      low = i;
    } else {
      sort(numbers, i, high);
      high = j;
    }
  }
}
const numbers = [];
let seed = 12345;
for (let i = 0; i < 20000; i++) {
  seed = (seed * 1103 + 12345) & 0xffffff;
  numbers[i] = seed;
}
sort(numbers, 0, numbers.length - 1);
setVariable("result", numbers[10000]);
