import { v } from "deep5"; export { v };
