// What a mix of one's own costs. The page /mix and the endpoint /api/price calculate with it.

const parts = {
  oats: { label: "Oats", per_100g: 0.72, kcal: 370 },
  nuts: { label: "Nuts", per_100g: 2.4, kcal: 630 },
  fruit: { label: "Fruit", per_100g: 2.1, kcal: 280 },
};

const grams = (label) => Schema.number().integer().min(0).max(400).default(0).label(label);

export const MixSchema = Schema.object({
  oats: grams("Oats"),
  nuts: grams("Nuts"),
  fruit: grams("Fruit"),
});

export const first_mix = { oats: 300, nuts: 80, fruit: 60 };

// { grams, price, kcal_100g, shares: { oats, nuts, fruit } }; the shares are percent.
export function priceOf(mix) {
  const all = Object.entries(parts);
  const grams = all.reduce((sum, [key]) => sum + mix[key], 0);
  const sum = (of) => all.reduce((total, [key, part]) => total + (mix[key] / 100) * of(part), 0);
  const share = (key) => (grams ? Math.round((mix[key] / grams) * 1000) / 10 : 0);
  return {
    grams,
    price: grams ? Math.round((1.5 + sum((part) => part.per_100g)) * 100) / 100 : 0,
    kcal_100g: grams ? Math.round((sum((part) => part.kcal) / grams) * 100) : 0,
    shares: { oats: share("oats"), nuts: share("nuts"), fruit: share("fruit") },
  };
}

// The endpoint's answer as the page shows it, one line for each key. mix.js in public/ does the same.
export function shownAnswer(mix, answer) {
  const lines = Object.entries(answer).map(([name, value]) => `  "${name}": ${JSON.stringify(value)}`);
  return `GET /api/price?oats=${mix.oats}&nuts=${mix.nuts}&fruit=${mix.fruit}\n\n{\n${lines.join(",\n")}\n}`;
}
