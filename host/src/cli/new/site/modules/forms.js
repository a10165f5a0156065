// A module. Pages import from it by its file name without `.js`: import { … } from "forms".

export const MessageSchema = Schema.object({
  name: Schema.string().required().max(100).label("Name"),
  email: Schema.string().required().email().label("Email"),
  text: Schema.string().required().max(2000).label("Message"),
});
