export function fill() {
  const list = [];
  while (true) list.push([1, 2, 3]);
}
