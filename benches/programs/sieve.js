const LARGEST = 60000;
const isPrime = [];
for (let i = 0; i <= LARGEST; i++) isPrime[i] = 1;
let primes = 0;
for (let i = 2; i <= LARGEST; i++) {
  if (isPrime[i] === 1) {
    primes++;
    for (let j = i + i; j <= LARGEST; j += i) isPrime[j] = 0;
  }
}
setVariable("result", primes);
