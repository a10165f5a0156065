"use strict";
// Replaces the charts that the server drew with charts that show their values under the pointer.
// Without JavaScript, the server's charts stay.
{
  const threeDigits = (value) =>
    Number.isInteger(value) && value < 1000 ? String(value)
      : value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);
  const scaled = (value, steps) => {
    const [least, unit] = steps.find(([least]) => value >= least) ?? [1, steps.at(-1)[1]];
    return `${threeDigits(value / least)}${unit}`;
  };
  const write = {
    count: (value) => scaled(value, [[1e12, " T"], [1e9, " G"], [1e6, " M"], [1e3, " k"], [1, ""]]),
    microseconds: (value) => scaled(value, [[1e6, " s"], [1e3, " ms"], [1, " µs"]]),
    permille: (value) => (value / 1000).toFixed(2),
    bytes: (value) => scaled(value, [[1048576, " MB"], [1024, " KB"], [1, " B"]]),
  };

  const draw = (figure) => {
    const { quantity, times_ms: times, lines, from_ms: from, to_ms: to, quota } = JSON.parse(figure.dataset.chart);
    const fixed = figure.querySelector("svg");
    const legend = figure.querySelector(".legend");
    const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    const shown = (plot, value) => (value == null ? "–" : write[quantity](value));
    const axis = { stroke: color("soft"), grid: { stroke: color("line"), width: 1 }, ticks: { show: false } };
    // Days if the labels are days apart, otherwise times, as ISO 8601 writes them.
    const dates = (plot, values, axisIndex, space, step) =>
      values.map((at) => uPlot.fmtDate(step >= 86400 ? "{YYYY}-{MM}-{DD}" : "{HH}:{mm}")(new Date(at * 1000)));
    // A value between two gaps has no line, so it is a point.
    const alone = (values) => values.flatMap((value, at) =>
      value !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null ? [at] : []);
    const options = {
      width: figure.clientWidth - 32,
      height: 190,
      cursor: { sync: { key: "console" }, drag: { x: true, y: false } },
      hooks: { setSelect: [(plot) => { plot.isSelected = plot.select.width > 0; }] },
      scales: {
        // The whole range that the operator chose, unless a part of it is selected with the pointer.
        x: { range: (plot, first, last) => (plot.isSelected ? [first, last] : [from / 1000, to / 1000]) },
        y: { range: (plot, least, most) => [0, Math.max(most, quota ?? 0) > 0 ? Math.max(most, quota ?? 0) * 1.05 : 1] },
      },
      // The last time is wider than the room that uPlot leaves for half of it.
      padding: [null, 28, null, null],
      axes: [{ ...axis, space: 90, values: dates }, { ...axis, size: 72, values: (plot, values) => values.map(write[quantity]) }],
      series: [
        { label: "at", value: "{YYYY}-{MM}-{DD} {HH}:{mm}" },
        ...lines.map(({ name, color: of }) => ({
          label: name, stroke: color(of), width: 2, value: shown, points: { show: true, size: 7, fill: color(of), filter: (plot, index) => alone(plot.data[index]) },
        })),
        ...(quota ? [{ label: "quota", stroke: color("bad"), width: 1, dash: [6, 4], value: shown, points: { show: false } }] : []),
      ],
    };
    const holder = document.createElement("div");
    holder.setAttribute("role", "img");
    holder.setAttribute("aria-label", fixed.getAttribute("aria-label"));
    const plot = new uPlot(options, [times.map((at) => at / 1000), ...lines.map((line) => line.values), ...(quota ? [times.map(() => quota)] : [])], holder);
    holder.querySelectorAll("th").forEach((head) => { head.scope = "row"; });
    fixed.toggleAttribute("hidden", true);
    legend.hidden = true;
    fixed.after(holder);
    const resized = new ResizeObserver(() => plot.setSize({ width: figure.clientWidth - 32, height: 190 }));
    resized.observe(figure);
    return () => {
      resized.disconnect();
      plot.destroy();
      holder.remove();
      fixed.toggleAttribute("hidden", false);
      legend.hidden = false;
    };
  };

  let drawn = [];
  const drawAll = () => {
    drawn.forEach((undo) => undo());
    drawn = [...document.querySelectorAll("figure[data-chart]")].map(draw);
  };
  // Canvases do not follow the page's colours, so they are drawn again when the colours change.
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  addEventListener("sluice:refreshed", () => {
    drawn = [];
    drawAll();
  });
  drawAll();
}
