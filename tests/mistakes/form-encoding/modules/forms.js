export const form = () => request.body ?? {};
