import { count } from "../counter";
export const helped = count();
