let n = 0;
export function count() { return ++n; }
