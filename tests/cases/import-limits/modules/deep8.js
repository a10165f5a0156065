import { v } from "deep9"; export { v };
