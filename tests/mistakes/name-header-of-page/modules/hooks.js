export const event = () => request.headers["x-github-event"];
export const id = () => request.headers["x-request-id"];
