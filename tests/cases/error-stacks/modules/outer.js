import { check } from "checks/deep";
export function outer() { return check(1); }
