// What forms share. Pages import it by its file name without `.js`: import { readForm } from "forms".

// Reads the fields of a form, each with its own schema. Returns the valid values and, by field, what is
// wrong with the others: { valid, values, errors: { email: "Email is required" } }.
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
