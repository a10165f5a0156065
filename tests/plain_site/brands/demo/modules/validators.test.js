import { GoalSchema, LoginSchema, WeightCheckinSchema } from "validators";

test("a check-in requires a weight", () => {
  const { valid, errors } = WeightCheckinSchema.validate({});
  expect(valid).toBe(false);
  expect(errors).toEqual(["Weight is required"]);
});

test("numeric strings are converted, and unknown keys are dropped", () => {
  const { value } = WeightCheckinSchema.validate({ weight: "80.5", colour: "red" });
  expect(value).toEqual({ weight: 80.5, unit: "lbs", notes: "" });
});

test("a goal is between 50 and 500", () => {
  for (const [goal, valid] of [[49, false], [50, true], [500, true], [501, false]]) {
    expect(GoalSchema.validate({ goal }).valid).toBe(valid);
  }
});

test("a login requires an email address", () => {
  expect(LoginSchema.validate({ email: "ann" }).errors[0]).toContain("Email");
  expect(LoginSchema.validate({ email: "ann@example.com" }).valid).toBe(true);
});
