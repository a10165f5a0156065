export const v = 6;
