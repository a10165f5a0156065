export function check(n) {
  if (n < 5) throw new RangeError("too " + "low");
}
