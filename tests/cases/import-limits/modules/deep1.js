import { v } from "deep2"; export { v };
