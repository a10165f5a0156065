export function deny() {
  try {
    response.status(403);
    response.json({ denied: true });
  } catch (error) {
    setVariable("caught", String(error));
    response.send("caught");
  } finally {
    session.set("finally", true);
    response.send("finally");
  }
}
