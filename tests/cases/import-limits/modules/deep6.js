import { v } from "deep7"; export { v };
