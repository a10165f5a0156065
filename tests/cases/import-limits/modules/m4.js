export const v = 4;
