// What the endpoints share: keys, and answers that look alike.

// Ends the run with an error: { error: { code, message } }.
export function fail(status, code, message, fields) {
  response.status(status);
  response.json({ error: fields ? { code, message, fields } : { code, message } });
}

// Whether a request with this `authorization` header has the key. Comparing digests takes the same time
// whatever was sent, so nobody can guess the key letter by letter.
export async function hasKey(header, key) {
  const digest = async (text) =>
    new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  const [sent, known] = await Promise.all([digest(header ?? ""), digest(`Bearer ${key}`)]);
  return sent.every((byte, at) => byte === known[at]);
}

// Ends the run unless the caller may write.
export async function requireKey() {
  const key = secrets.get("API_KEY");
  if (key === null) fail(503, "no_key", "The operator has not set SLUICE_SECRET_MAIN_API_KEY yet");
  else if (!(await hasKey(request.headers.authorization, key))) {
    setHeader("WWW-Authenticate", "Bearer");
    fail(401, "wrong_key", "Send the header: authorization: Bearer KEY");
  }
}

// The validated JSON body of the request. Ends the run if it is not valid.
export function bodyOf(schema) {
  const { valid, value, errors } = schema.validate(request.body);
  if (!valid) fail(422, "invalid", errors.join(". "), errors);
  return value;
}
