// The short links: /go/spring and so on.

export const links = [
  { code: "spring", to: "/shop?from=letter", cookie: "spring", text: "the link in our spring letter: 10 % off, kept in a cookie for a week" },
  { code: "quiz", to: "/quiz", text: "printed on the bags" },
  { code: "mill", to: "/shop/millstone", text: "for people who cannot spell Millstone" },
];
