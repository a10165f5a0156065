export function fail(list) {
  // A comment with ü before the fault.
  return "ü".length + list.missing.length;
}
