import { get } from "self";
import * as page from "../self";
export function viaM() { return [get(), page.get()]; }
