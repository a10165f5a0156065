export function check(message) {
  throw new SyntaxError(message);
}
