// What members cook.

export const recipes = [
  {
    slug: "overnight",
    name: "Overnight oats with apple",
    minutes: 5,
    product: "first-light",
    steps: [
      "Grate an apple, skin and all, into a jar.",
      "Add 60 g of First Light, 150 ml of milk and a pinch of salt. Shake.",
      "Leave it in the fridge overnight. Eat it cold, with a spoon of yoghurt.",
    ],
  },
  {
    slug: "slow-pan",
    name: "The slow pan",
    minutes: 25,
    product: "headwater",
    steps: [
      "Toast 80 g of Headwater in a dry pan until it smells of nuts.",
      "Pour on 400 ml of water and a good pinch of salt. Stir once.",
      "Let it tremble for 25 minutes with the lid on. Butter, then black pepper.",
    ],
  },
  {
    slug: "tray",
    name: "A tray for the week",
    minutes: 40,
    product: "flood-meadow",
    steps: [
      "Warm 60 g of honey with 40 ml of oil, and stir into 400 g of Flood Meadow.",
      "Press it flat on a tray and bake at 150 °C for 30 minutes.",
      "Do not touch it until it is cold. Break it, and hide it well.",
    ],
  },
];
