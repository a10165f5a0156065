export const v = 9;
