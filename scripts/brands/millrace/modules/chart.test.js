import { chartOf, inUnit, size } from "chart";

// The chart, which must be there.
function drawn(weigh_ins, unit, goal) {
  const chart = chartOf(weigh_ins, unit, goal);
  if (chart === null) throw new Error("there is no chart");
  return chart;
}

const day = (n, weight, unit = "kg") => ({ weight, unit, at: `2026-01-${String(n).padStart(2, "0")}T08:00:00Z` });

test("there is no chart of nothing", () => {
  expect(chartOf([], "kg", null)).toBeNull();
});

test("a single check-in is a point in the middle", () => {
  const { points, ticks } = drawn([day(1, 80)], "kg", null);
  expect(points).toHaveLength(1);
  expect(points[0].x).toBe((size.left + size.width - size.right) / 2);
  expect(ticks.length).toBeGreaterThan(1);
});

test("the oldest check-in is on the left, and heavier ones are higher", () => {
  const { points, change } = drawn([day(9, 78), day(1, 82)], "kg", null);
  expect(points.map((point) => point.weight)).toEqual([82, 78]);
  expect(points[0].x).toBe(size.left);
  expect(points[1].x).toBe(size.width - size.right);
  expect(points[0].y).toBeLessThan(points[1].y);
  expect(change).toBe(-4);
});

test("all of the chart is within its bounds, the goal included", () => {
  for (const goal of [null, 50, 500]) {
    const { points, ticks, goal_y } = drawn([day(3, 80.4), day(2, 80.4), day(1, 80.4)], "kg", goal);
    const heights = points.concat(ticks).map((one) => one.y).concat(goal_y ?? []);
    for (const y of heights) {
      expect(y).toBeGreaterThanOrEqual(size.top);
      expect(y).toBeLessThanOrEqual(size.height - size.bottom);
    }
  }
});

test("pounds and kilograms are in one chart", () => {
  expect(inUnit(180, "lbs", "kg")).toBe(81.6);
  const { points } = drawn([day(2, 180, "lbs"), day(1, 80)], "kg", null);
  expect(points.map((point) => point.weight)).toEqual([80, 81.6]);
});
