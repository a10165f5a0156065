export function requirePost() {
  if (request.method !== "POST") redirect("/");
}
