// What members can come to.

export const suppers = [
  { date: "2026-09-04", name: "Late tomatoes", text: "Five courses, all of them red." },
  { date: "2026-10-02", name: "Smoke", text: "Everything goes over the fire, the dessert included." },
  { date: "2026-11-06", name: "Soup, and more soup", text: "For a grey month. Bring a bowl that you like." },
];
