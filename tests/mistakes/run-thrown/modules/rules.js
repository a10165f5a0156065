export function check(query) {
  if (!query.id) {
    throw new Error("id is missing");
  }
}
