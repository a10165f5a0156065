// The points of a line chart of weigh-ins, for the template to draw.

export const size = { width: 640, height: 260, left: 52, right: 16, top: 16, bottom: 34 };

// `weigh_ins` are { weight, unit, at }, newest first. Returns null if there is none.
export function chartOf(weigh_ins, unit, goal) {
  const values = weigh_ins.map((one) => ({ at: one.at, weight: inUnit(one.weight, one.unit, unit) })).reverse();
  if (values.length === 0) return null;
  const heights = values.map((one) => one.weight).concat(goal === null ? [] : [goal]);
  const ticks = ticksOf(Math.min(...heights), Math.max(...heights));
  const [low, high] = [ticks[0], ticks[ticks.length - 1]];
  const times = values.map((one) => Date.parse(one.at));
  const [first, last] = [times[0], times[times.length - 1]];
  const x = (time) => round(last === first
    ? (size.left + size.width - size.right) / 2
    : size.left + ((time - first) / (last - first)) * (size.width - size.left - size.right));
  const y = (weight) => round(size.height - size.bottom - ((weight - low) / (high - low)) * (size.height - size.top - size.bottom));
  const points = values.map((one, at) => ({ ...one, x: x(times[at]), y: y(one.weight) }));
  const line = points.map((point) => `${point.x},${point.y}`).join(" ");
  const floor = size.height - size.bottom;
  return {
    points,
    line,
    area: `${points[0].x},${floor} ${line} ${points[points.length - 1].x},${floor}`,
    ticks: ticks.map((value) => ({ value, y: y(value) })),
    goal_y: goal === null ? null : y(goal),
    change: round(values[values.length - 1].weight - values[0].weight),
  };
}

const KG_PER_LB = 0.45359237;

export function inUnit(weight, from, to) {
  if (from === to) return weight;
  return Math.round((to === "kg" ? weight * KG_PER_LB : weight / KG_PER_LB) * 10) / 10;
}

// Three to six round numbers that include both bounds.
function ticksOf(low, high) {
  const step = [1, 2, 5, 10, 20, 50, 100].find((one) => (high - low) / one <= 4) ?? 200;
  const ticks = [];
  for (let tick = Math.floor(low / step) * step; ; tick += step) {
    ticks.push(tick);
    if (tick >= high && ticks.length > 1) return ticks;
  }
}

function round(number) {
  return Math.round(number * 10) / 10;
}
