// What forms share.

// Reads the fields of a form, each with its own schema. Returns the valid values and, by field, what is
// wrong: { valid, values, errors: { email: "Email is required" } }.
export function readForm(schemas, body) {
  const values = {};
  const errors = {};
  for (const [name, schema] of Object.entries(schemas)) {
    const { valid, value, errors: found } = schema.validate((body ?? {})[name]);
    if (valid) values[name] = value;
    else errors[name] = found[0];
  }
  return { valid: Object.keys(errors).length === 0, values, errors };
}

// The visitor's own words, to fill a form again: only texts, and none that is very long.
export function typed(body) {
  const texts = Object.entries(body ?? {}).filter(([, value]) => typeof value === "string");
  return Object.fromEntries(texts.map(([name, value]) => [name, value.slice(0, 2000)]));
}
