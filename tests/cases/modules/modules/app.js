export default function greet(name) { return "hello " + name; }
export const a = 1, b = 2;
