// A module: pages import from it by the file's name without its ending.

export const MessageSchema = Schema.object({
  name: Schema.string().required().max(100).label("Name"),
  email: Schema.string().required().email().label("Email"),
  text: Schema.string().required().max(2000).label("Message"),
});
