import { v } from "deep3"; export { v };
