export const v = "bottom";
