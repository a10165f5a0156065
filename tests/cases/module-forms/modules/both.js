export const from = "the module";
