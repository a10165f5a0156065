// What the shop sells. A real shop would keep this in the CRM or in brand.toml.

export const products = [
  {
    slug: "first-light",
    name: "First Light",
    kind: "Rolled oats and toasted barley",
    price: 6.8,
    grams: 500,
    text: "Whole oats, rolled thick, with barley that we toast until the kitchen smells of it. Five minutes in a pan, or overnight in milk.",
    inside: ["rolled oats 70 %", "toasted barley 25 %", "linseed 5 %"],
  },
  {
    slug: "headwater",
    name: "Headwater",
    kind: "Steel-cut oats",
    price: 5.4,
    grams: 500,
    text: "Oats cut into three, and nothing else. They want twenty-five minutes and give back a porridge with a bite.",
    inside: ["cut oats 100 %"],
  },
  {
    slug: "flood-meadow",
    name: "Flood Meadow",
    kind: "Seed granola with honey",
    price: 8.6,
    grams: 400,
    text: "Baked in small trays with honey from the meadow below the mill, so that it breaks into shards and not into dust.",
    inside: ["oats 52 %", "sunflower and pumpkin seeds 24 %", "honey 14 %", "rapeseed oil 10 %"],
  },
  {
    slug: "weir",
    name: "Weir",
    kind: "Muesli with hazelnut and apple",
    price: 7.9,
    grams: 500,
    text: "Two harvests in one bag: hazelnuts from September and apple rings dried in October.",
    inside: ["oat flakes 48 %", "spelt flakes 20 %", "hazelnuts 16 %", "dried apple 16 %"],
  },
  {
    slug: "millstone",
    name: "Millstone",
    kind: "Rye and spelt flakes",
    price: 6.2,
    grams: 500,
    text: "Dark, malty and a little sour. Made for people who find oats too polite.",
    inside: ["rye flakes 60 %", "spelt flakes 40 %"],
  },
  {
    slug: "sunday",
    name: "Sunday",
    kind: "Cocoa granola with sour cherry",
    price: 9.2,
    grams: 350,
    text: "For the one morning without an alarm. Cocoa first, cherries last.",
    inside: ["oats 50 %", "sour cherries 18 %", "cocoa 12 %", "hazelnuts 12 %", "cane sugar 8 %"],
  },
];

export function productOf(slug) {
  return products.find((product) => product.slug === slug) ?? null;
}
