export function requireCustomer() {
  if (!is_customer) {
    response.status(401);
    response.json({ ok: false });
  }
}

export function sendAway() {
  redirect("/welcome");
}
