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
    bytes: (value) => scaled(value, [[1048576, " MB"], [1024, " KB"], [1, " B"]]),
  };

  const draw = (figure) => {
    const { quantity, times_ms: times, lines } = JSON.parse(figure.dataset.chart);
    const fixed = figure.querySelector("svg");
    const legend = figure.querySelector(".legend");
    const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    const shown = (plot, value) => (value == null ? "–" : write[quantity](value));
    const axis = { stroke: color("soft"), grid: { stroke: color("line"), width: 1 }, ticks: { show: false } };
    const options = {
      width: figure.clientWidth - 32,
      height: 190,
      cursor: { sync: { key: "console" }, drag: { x: true, y: false } },
      scales: {
        // A single value gets a scale of 15 minutes. By default, uPlot would draw a scale of years.
        x: { range: (plot, first, last) => (times.length > 1 ? [first, last] : [first - 450, first + 450]) },
        y: { range: (plot, least, most) => [0, most > 0 ? most * 1.05 : 1] },
      },
      // The last time is wider than the room that uPlot leaves for half of it.
      padding: [null, 28, null, null],
      axes: [{ ...axis, space: 64 }, { ...axis, size: 72, values: (plot, values) => values.map(write[quantity]) }],
      series: [
        { label: "at" },
        ...lines.map(({ name, color: of }) => ({
          label: name, stroke: color(of), width: 2, value: shown, points: { show: times.length < 2, fill: color(of) },
        })),
      ],
    };
    const holder = document.createElement("div");
    holder.setAttribute("role", "img");
    holder.setAttribute("aria-label", fixed.getAttribute("aria-label"));
    const plot = new uPlot(options, [times.map((at) => at / 1000), ...lines.map((line) => line.values)], holder);
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
  drawAll();
}
