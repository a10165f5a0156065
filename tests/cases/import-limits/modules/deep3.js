import { v } from "deep4"; export { v };
