// The questions, and what the answers say. Each answer names the plants that it speaks for.

export const plants = {
  pothos: { name: "A pothos", text: "It grows in a corner, forgives a dry month, and tells you by its leaves when it is thirsty." },
  basil: { name: "A pot of basil", text: "It wants sun and a little water every day, and it pays rent." },
  cactus: { name: "A cactus", text: "Water it when you change the calendar. It will outlive the calendar." },
};

export const questions = [
  {
    key: "light",
    text: "How much sun does your window get?",
    answers: [
      { key: "all", text: "All afternoon", plants: ["basil", "cactus"] },
      { key: "some", text: "Some, in the morning", plants: ["basil", "pothos"] },
      { key: "none", text: "There is a wall in front of it", plants: ["pothos"] },
    ],
  },
  {
    key: "care",
    text: "How often are you at home?",
    answers: [
      { key: "daily", text: "Every day", plants: ["basil"] },
      { key: "weekly", text: "At weekends", plants: ["pothos"] },
      { key: "rarely", text: "Rarely", plants: ["cactus"] },
    ],
  },
  {
    key: "use",
    text: "What should it be good for?",
    answers: [
      { key: "kitchen", text: "The kitchen", plants: ["basil"] },
      { key: "green", text: "Something green to look at", plants: ["pothos"] },
      { key: "company", text: "Company that asks for nothing", plants: ["cactus"] },
    ],
  },
];

// The plant that most answers speak for.
export function plantOf(answers) {
  const chosen = questions.flatMap((question) =>
    question.answers.find((answer) => answer.key === answers[question.key])?.plants ?? []);
  const count = (plant) => chosen.filter((one) => one === plant).length;
  return Object.keys(plants).sort((a, b) => count(b) - count(a))[0];
}

export function isComplete(answers) {
  return questions.every((question) => answers[question.key]);
}
