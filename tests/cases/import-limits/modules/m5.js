export const v = 5;
