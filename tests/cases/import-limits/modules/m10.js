export const v = 10;
