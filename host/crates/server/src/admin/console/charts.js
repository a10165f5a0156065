"use strict";
// Replaces the charts that the server drew with charts that show their values under the pointer.
// The arrow keys move from value to value, and Home and End to the first and the last one.
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

  // Steps of the scales: bytes are round numbers at powers of two, and half a run does not exist.
  const steps = {
    bytes: Array.from({ length: 50 }, (_, power) => 2 ** power),
    count: Array.from({ length: 15 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat(),
  };
  // The end of a scale for small values, so that its labels differ.
  const least = { permille: 50 };

  // What is selected with the pointer becomes the range of the whole page. Runs are counted in quarters of an hour.
  const QUARTER = 900;
  const choose = (plot) => {
    if (plot.select.width < 5) return;
    const at = (left) => plot.posToVal(left, "x");
    const from = Math.floor(at(plot.select.left) / QUARTER) * QUARTER;
    const to = Math.ceil(at(plot.select.left + plot.select.width) / QUARTER) * QUARTER;
    const address = new URL(location.href);
    address.searchParams.delete("hours");
    for (const [name, seconds] of [["from", from], ["to", to]]) {
      address.searchParams.set(name, new Date(seconds * 1000).toISOString().slice(0, 16));
    }
    location.assign(address);
  };

  // A figure that is folded away has no width yet.
  const widthOf = (figure) => Math.max(figure.clientWidth - 32, 100);
  const heightOf = () => (window.matchMedia("(max-width: 40rem)").matches ? 135 : 175);

  const draw = (figure) => {
    const { quantity, times_ms: times, step_ms: step, lines, from_ms: from, to_ms: to, quota, marks, decades, has_zero: hasZero, open } = JSON.parse(figure.dataset.chart);
    const fixed = figure.querySelector("svg");
    const legend = figure.querySelector(".legend");
    const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    const color = style;
    const width = Number(style("wide")) || 2;
    // Lines of one colour differ by their dashes.
    const dashes = style("dashed") ? { b: [8, 4], c: [2, 4], bad: [12, 3, 2, 3] } : { c: [5, 4] };
    // A value is where the middle of its interval is, which is now at the latest.
    const middle = (at) => Math.min(at + step / 2, Math.max(at, to)) / 1000;
    const shown = (plot, value) => (value == null ? "–" : write[quantity](value));
    const axis = { stroke: color("soft"), grid: { stroke: color("line"), width: 1 }, ticks: { show: false } };
    // Days if the labels are days apart, otherwise times, as ISO 8601 writes them.
    const dates = (plot, values, axisIndex, space, step) =>
      values.map((at) => uPlot.fmtDate(step >= 86400 ? "{YYYY}-{MM}-{DD}" : "{HH}:{mm}")(new Date(at * 1000)));
    // A value holds for its whole interval, and nothing is known of what is between two of them, so lines have steps.
    const stepped = step < 60000 ? null : (plot, series, first, last) => {
      const stroke = new Path2D();
      const values = plot.data[series];
      let before = null;
      for (let at = first; at <= last; at++) {
        // What is not over yet is drawn apart.
        const value = at === open ? null : values[at] ?? null;
        if (value !== null) {
          const [begin, end, y] = [plot.valToPos(times[at] / 1000, "x", true), plot.valToPos((times[at] + step) / 1000, "x", true), plot.valToPos(value, "y", true)];
          stroke[before === null ? "moveTo" : "lineTo"](begin, y);
          stroke.lineTo(end, y);
        }
        before = value;
      }
      return { stroke, fill: null, clip: null, band: null, gaps: null, flags: 0 };
    };
    // A value between two gaps has no line, so it is a point.
    const alone = (values) => values.flatMap((value, at) =>
      value !== null && at !== open && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null ? [at] : []);
    // Starts, reloads and changes of limits.
    const drawMarks = ({ ctx, bbox, valToPos }) => {
      ctx.save();
      ctx.strokeStyle = color("soft");
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash([2, 3].map((length) => length * devicePixelRatio));
      for (const { at_ms: at } of marks) {
        const x = valToPos(at / 1000, "x", true);
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
      }
      ctx.restore();
    };
    // The interval that is not over yet: dashed, and joined with nothing, because its values are not comparable yet.
    const drawOpen = ({ ctx, bbox, data, valToPos }) => {
      if (open === null) return;
      const [begin, end] = [times[open], Math.min(times[open] + step, to)].map((at) => valToPos(at / 1000, "x", true));
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left - 4 * devicePixelRatio, bbox.top, bbox.width + 8 * devicePixelRatio, bbox.height + 4 * devicePixelRatio);
      ctx.clip();
      ctx.lineWidth = width * devicePixelRatio;
      lines.forEach(({ color: of }, series) => {
        const value = data[series + 1][open];
        if (value === null) return;
        const y = valToPos(value, "y", true);
        ctx.strokeStyle = color(of);
        ctx.beginPath();
        if (end - begin < 6 * devicePixelRatio) {
          ctx.setLineDash([]);
          ctx.arc(end - 3 * devicePixelRatio, y, 3 * devicePixelRatio, 0, 2 * Math.PI);
        } else {
          ctx.setLineDash([3, 3].map((length) => length * devicePixelRatio));
          ctx.moveTo(begin, y);
          ctx.lineTo(end, y);
        }
        ctx.stroke();
      });
      ctx.restore();
    };
    // The marks at a value and under the pointer, by name.
    const named = document.createElement("p");
    named.className = "mark-names";
    const marksAt = (index, left) => marks.filter(({ at_ms: at }) => {
      const isUnder = left >= 0 && Math.abs(plot.valToPos(at / 1000, "x") - left) <= 6;
      return isUnder || (index != null && at >= times[index] && at < times[index] + step);
    });
    const nameOf = ({ at_ms: at, name }) => `${moment(at)} ${name}`;
    const nameMarks = () => {
      const text = marksAt(plot.cursor.idx, plot.cursor.left ?? -1).map(nameOf).join("; ");
      if (named.textContent !== text) named.textContent = text;
    };
    // On a logarithmic scale, the axis has the powers of ten. It has no place for 0, which gets a line below it.
    const [low, high] = decades ?? [];
    const bottom = hasZero ? low - (high - low) * 0.2 : low;
    const place = (value) => (!decades ? value : value > 0 ? Math.max(Math.log10(value), low) : bottom);
    const placed = (values) => values.map((value) => (value === null ? null : place(value)));
    const powers = decades ? Array.from({ length: high - low + 1 }, (_, step) => low + step) : [];
    const every = high - low > 4 ? 2 : 1;
    const axisOfPowers = {
      ...axis,
      size: 72,
      splits: () => (hasZero ? [bottom, ...powers] : powers),
      filter: (plot, splits) => splits,
      values: (plot, splits) => splits.map((at) => (at < low ? "0" : (at - low) % every ? "" : write[quantity](10 ** at))),
    };
    const options = {
      width: widthOf(figure),
      height: heightOf(),
      cursor: { sync: { key: "console" }, drag: { x: true, y: false, setScale: false } },
      hooks: { setCursor: [(plot) => plot.cursor.idx == null && plot.setLegend({ idx: times.length - 1 }, false), nameMarks], setSelect: [choose], draw: [drawMarks, drawOpen] },
      scales: {
        // The whole range that the operator chose.
        x: { range: () => [from / 1000, to / 1000] },
        y: decades ? { range: () => [bottom, high] } : { range: (plot, low, most) => [0, Math.max(most, quota ?? 0, least[quantity] ?? 0) * 1.05 || 1] },
      },
      // The last time is wider than the room that uPlot leaves for half of it.
      padding: [null, 28, null, null],
      axes: [{ ...axis, space: 90, size: 34, gap: 8, values: dates }, decades ? axisOfPowers : { ...axis, size: 72, ...(steps[quantity] && { incrs: steps[quantity] }), values: (plot, values) => values.map(write[quantity]) }],
      legend: { markers: { fill: (plot, index) => plot.series[index].stroke?.(plot, index) ?? null } },
      series: [
        { label: step >= 60000 ? "interval" : "at", value: (plot, value, series, index) => (index == null ? "–" : interval(times[index])) },
        ...lines.map(({ name, color: of }) => ({
          label: name, stroke: color(of), width, dash: dashes[of], ...(stepped && { paths: stepped }), value: (plot, value, series, index) => shown(plot, index == null ? null : lines[series - 1].values[index]), points: { show: true, size: 7, fill: color(of), filter: (plot, index) => alone(plot.data[index]) },
        })),
        ...(quota ? [{ label: "quota", stroke: color("bad"), width: 1, dash: [6, 4], value: shown, points: { show: false } }] : []),
      ],
    };
    const holder = document.createElement("div");
    holder.className = "u-holder";
    holder.tabIndex = 0;
    holder.setAttribute("role", "slider");
    holder.setAttribute("aria-label", fixed.getAttribute("aria-label"));
    holder.setAttribute("aria-valuemin", "1");
    // The values that the keys lead to: every time that has one.
    const stops = times.flatMap((_, at) => (lines.some(({ values }) => values[at] !== null) ? [at] : []));
    holder.setAttribute("aria-valuemax", String(stops.length));
    let stop = stops.length - 1;
    const interval = (at) => {
      if (step < 60000) return moment(at);
      const end = uPlot.fmtDate("{HH}:{mm}")(new Date(at + step));
      return `${moment(at)} to ${end}${open !== null && at === times[open] ? ", not over yet" : ""}`;
    };
    const moment = (at) => uPlot.fmtDate("{YYYY}-{MM}-{DD} {HH}:{mm}")(new Date(at));
    const say = () => {
      const at = stops[stop];
      holder.setAttribute("aria-valuenow", String(stop + 1));
      const names = marks.filter(({ at_ms: mark }) => mark >= times[at] && mark < times[at] + step).map(nameOf);
      const values = lines.map(({ name, values }) => `${name} ${shown(null, values[at])}`).join(", ");
      holder.setAttribute("aria-valuetext", [`${interval(times[at])}: ${values}`, ...names].join("; "));
    };
    const show = () => {
      const at = stops[stop];
      say();
      const top = lines.map(({ values }) => values[at]).find((value) => value !== null) ?? 0;
      plot.setCursor({ left: plot.valToPos(middle(times[at]), "x"), top: plot.valToPos(place(top), "y") });
    };
    say();
    holder.addEventListener("focus", () => holder.matches(":focus-visible") && show());
    holder.addEventListener("blur", () => plot.setCursor({ left: -10, top: -10 }));
    holder.addEventListener("keydown", (event) => {
      const last = stops.length - 1;
      const to = { ArrowLeft: stop - 1, ArrowDown: stop - 1, ArrowRight: stop + 1, ArrowUp: stop + 1, Home: 0, End: last, PageDown: stop - 10, PageUp: stop + 10 }[event.key];
      if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      stop = Math.min(Math.max(to, 0), last);
      show();
    });
    const plot = new uPlot(options, [times.map(middle), ...lines.map((line) => placed(line.values)), ...(quota ? [times.map(() => place(quota))] : [])], holder);
    holder.querySelectorAll("th").forEach((head) => { head.scope = "row"; });
    // Without a pointer, the legend has the newest values.
    plot.setLegend({ idx: times.length - 1 }, false);
    fixed.toggleAttribute("hidden", true);
    legend.hidden = true;
    fixed.after(holder, named);
    const resized = new ResizeObserver(() => figure.clientWidth > 0 && plot.setSize({ width: widthOf(figure), height: heightOf() }));
    resized.observe(figure);
    return () => {
      resized.disconnect();
      plot.destroy();
      holder.remove();
      named.remove();
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
  for (const asked of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)", "(forced-colors: active)"]) {
    window.matchMedia(asked).addEventListener("change", drawAll);
  }
  addEventListener("sluice:refreshed", () => {
    drawn = [];
    drawAll();
  });
  drawAll();
}
