const order = (id) =>
  addCrmFieldValue({ slug: "orders", referenceType: "order", referenceId: id, fieldKey: "order", value: { id } });

test("the report of the night counts the day before", () => {
  order("old");
  clock.set("2026-03-02T02:00:00Z"); // 3:00 in Berlin
  expect(queue.run()).toBe(1);
  order("a");
  clock.advance("23h");
  order("b");
  expect(queue.run()).toBe(0);
  clock.advance("1h");
  expect(queue.run()).toBe(1);
  expect(storage.get("report:2026-03-02")).toEqual({ orders: 2, quizzes: 0 });
  expect(storage.get("report:2026-03-01")).toEqual({ orders: 0, quizzes: 0 });
});
