await null; export const later = await Promise.resolve("awaited");
