import { ping } from "ping";
export function pong(n) { return n === 0 ? "done" : ping(n - 1); }
