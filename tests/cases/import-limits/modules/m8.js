export const v = 8;
