export const v = 7;
