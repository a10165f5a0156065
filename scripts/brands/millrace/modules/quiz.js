// The quiz: its questions, and what its answers say.
import { productOf } from "products";

export const questions = [
  {
    key: "time",
    text: "How long is your morning?",
    answers: [
      { key: "none", text: "I eat on the way", points: { "flood-meadow": 2, weir: 1 } },
      { key: "short", text: "Ten minutes, standing", points: { weir: 2, "first-light": 1 } },
      { key: "long", text: "Half an hour and a second cup", points: { headwater: 2, millstone: 1 } },
    ],
  },
  {
    key: "taste",
    text: "What do you reach for first?",
    answers: [
      { key: "sweet", text: "Honey", points: { "flood-meadow": 2, sunday: 2 } },
      { key: "fruit", text: "An apple", points: { weir: 3, "first-light": 1 } },
      { key: "salt", text: "Butter and salt", points: { millstone: 3, headwater: 2 } },
    ],
  },
  {
    key: "bite",
    text: "Soft or crisp?",
    answers: [
      { key: "soft", text: "Soft, please", points: { "first-light": 3 } },
      { key: "bite", text: "Something to chew", points: { headwater: 3, millstone: 2 } },
      { key: "crisp", text: "It has to crack", points: { "flood-meadow": 2, sunday: 3 } },
    ],
  },
];

// The product with the most points.
export function bowlOf(answers) {
  const points = {};
  for (const question of questions) {
    const answer = question.answers.find((one) => one.key === answers[question.key]);
    for (const [slug, count] of Object.entries(answer?.points ?? {})) points[slug] = (points[slug] ?? 0) + count;
  }
  const [best] = Object.entries(points).sort(([, a], [, b]) => b - a);
  return best ? productOf(best[0]) : null;
}

// Where this visitor's answers are in the CRM: under a random id until the visitor logs in, and then
// under the customer.
export function owner() {
  if (is_customer) return {};
  const id = session.get("quiz_visitor_id") ?? crypto.randomUUID();
  session.set("quiz_visitor_id", id);
  return { referenceType: "quiz_visitor", referenceId: id };
}

// Moves the visitor to a stage of the funnel, if there is anything to move.
export function moveTo(stageSlug) {
  return moveCrmToPipeline({ slug: "quiz-tracker", ...owner(), pipelineSlug: "funnel", stageSlug });
}

// After the log-in: what an unknown visitor answered becomes the customer's.
export function adoptAnswers() {
  const id = session.get("quiz_visitor_id");
  if (!id) return 0;
  const { ok, moved = 0 } = reassignCrmReference({
    slug: "quiz-tracker",
    fromReferenceType: "quiz_visitor",
    fromReferenceId: id,
  });
  if (!ok) return 0;
  session.delete("quiz_visitor_id");
  if (moved > 0) moveCrmToPipeline({ slug: "quiz-tracker", pipelineSlug: "funnel", stageSlug: "customer" });
  return moved;
}
