export * from "mixed"; export * as mixed from "mixed"; export { one as uno } from "mixed";
