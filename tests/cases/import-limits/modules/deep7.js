import { v } from "deep8"; export { v };
