import { pong } from "pong";
export function ping(n) { return n === 0 ? "done" : pong(n - 1); }
