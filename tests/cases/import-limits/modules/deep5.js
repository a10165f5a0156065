import { v } from "deep6"; export { v };
