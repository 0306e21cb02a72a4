"use strict";
// Scores of every face over media time; a click or an arrow key shows the segment below.
(() => {
  const { text, seconds, score, clock } = window.scanner;
  const chart = document.getElementById("chart");
  const id = chart.dataset.id;
  const probe = document.createElement("i");
  document.body.append(probe);
  // A token may be light-dark(…): only a painted element knows what it is now.
  const colour = (token) => { probe.style.color = "var(" + token + ")"; return getComputedStyle(probe).color; };
  const LINES = [["#2458b8", "#8ab4ff"], ["#7b3fc4", "#c9a2ff"], ["#0b7a6f", "#5fd6c6"], ["#a8327d", "#ff9ad5"], ["#57690c", "#c3d66b"], ["#6a5442", "#d9b99a"]];
  const DASHES = [[], [9, 4], [3, 3], [12, 4, 3, 4], [6, 3, 2, 3], [2, 5]];
  const TONES = { manipulated: "--red", suspected: "--amber", no_manipulation_found: "--blue", insufficient_evidence: "--grey" };
  const MOST = 300;
  let points = JSON.parse(document.getElementById("points").textContent);
  let shown = chart.dataset.shown, plot = null, faces = "";

  const dark = () => { probe.style.color = "light-dark(rgb(1,1,1), rgb(2,2,2))"; return getComputedStyle(probe).color === "rgb(2, 2, 2)"; };
  const tracksOf = () => [...new Set(points.flatMap((point) => Object.keys(point.faces)))].slice(-LINES.length);
  // A face's spans one after the other: clips may overlap, a line may not go back.
  const stepsOf = (track) => {
    const steps = [];
    let until = null;
    for (const point of points) for (const [start, end, value] of point.faces[track] ?? []) {
      const from = Math.max(start, until ?? start);
      if (from < end) steps.push([from, end - 1, value, until !== null && from - until > 5000]); // further apart: nobody looked in between
      until = Math.max(until ?? end, end);
    }
    return steps;
  };
  const dataOf = (tracks) => {
    const steps = tracks.map(stepsOf);
    const times = [...new Set(steps.flat().flatMap(([from, to, , apart]) => (apart ? [from - 1, from, to] : [from, to])))].sort((a, b) => a - b);
    if (!times.length && points.length) times.push(points[0].start, points.at(-1).end);
    const place = new Map(times.map((time, index) => [time, index]));
    const lines = steps.map((own) => {
      const line = new Array(times.length);
      for (const [from, to, value, apart] of own) {
        if (apart) line[place.get(from - 1)] = null;
        line[place.get(from)] = line[place.get(to)] = value;
      }
      return line;
    });
    return [times.map((time) => time / 1000), ...lines];
  };
  const ribbon = (plot) => {
    const { ctx, bbox } = plot, ratio = devicePixelRatio;
    ctx.save();
    for (const point of points) {
      const left = Math.max(bbox.left, plot.valToPos(point.start / 1000, "x", true));
      const right = Math.min(bbox.left + bbox.width, plot.valToPos(point.end / 1000, "x", true));
      if (right <= left) continue;
      ctx.fillStyle = colour(TONES[point.label]);
      const suspicious = point.label === "manipulated" || point.label === "suspected";
      if (suspicious) { ctx.globalAlpha = .13; ctx.fillRect(left, bbox.top, right - left, bbox.height); }
      ctx.globalAlpha = suspicious ? 1 : .35;
      ctx.fillRect(left, bbox.top + bbox.height - 6 * ratio, Math.max(ratio, right - left - ratio * .5), 6 * ratio);
      if (point.id === shown) {
        ctx.globalAlpha = 1;
        ctx.strokeStyle = colour("--ink");
        ctx.lineWidth = 1.5 * ratio;
        ctx.strokeRect(left, bbox.top + ratio, right - left, bbox.height - 2 * ratio);
      }
    }
    ctx.restore();
  };
  const heightOf = () => Math.max(180, Math.min(innerHeight * .26, 560));
  const draw = () => {
    const tracks = tracksOf(), night = dark() ? 1 : 0, soft = colour("--soft"), edge = colour("--edge");
    const grid = { stroke: edge, width: 1 }, rem = parseFloat(getComputedStyle(document.documentElement).fontSize), font = .75 * rem + "px system-ui, sans-serif";
    const size = { width: chart.clientWidth, height: heightOf() };
    const key = tracks.join() + night;
    if (plot && key === faces) { plot.setData(dataOf(tracks)); return; }
    faces = key;
    plot?.destroy();
    plot = new uPlot({
      ...size, legend: { markers: { width: 0, fill: (plot, index) => LINES[index - 1][night] } }, cursor: { drag: { x: false, y: false }, points: { show: false } },
      scales: { x: { time: false }, y: { range: [0, 1] } },
      axes: [
        { stroke: soft, grid, ticks: grid, font, size: 2 * rem, space: 4.5 * rem, incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200], values: (_, ticks) => ticks.map((tick) => clock(tick * 1000).replace(/\.\d$/, "")) },
        { stroke: soft, grid, ticks: grid, font, size: 2.5 * rem, splits: () => [0, .2, .4, .6, .8, 1], values: (_, ticks) => ticks.map((tick) => tick.toFixed(1)) },
      ],
      series: [
        { label: text("time"), value: (_, value) => (value === null ? "–" : clock(value * 1000)) },
        ...tracks.map((track, index) => ({
          label: track, stroke: LINES[index][night], width: 2.5, dash: DASHES[index], spanGaps: false,
          points: { show: false }, value: (_, value) => score(value ?? null),
        })),
      ],
      hooks: { drawClear: [ribbon] },
    }, dataOf(tracks), chart);
  };
  const show = (point) => {
    if (!point || point.id === shown) return;
    shown = point.id;
    plot.redraw(false);
    const query = new URLSearchParams({ id, verdict: point.id });
    history.replaceState(null, "", "/stream?" + query);
    htmx.ajax("GET", "/verdict?" + query, { target: "#detail" });
  };

  chart.addEventListener("click", () => {
    const at = plot.posToVal(plot.cursor.left, "x") * 1000;
    show(points.find((point) => point.start <= at && at < point.end));
  });
  chart.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    show(points[points.findIndex((point) => point.id === shown) + step]);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.(".spans a");
    if (!link) return;
    shown = new URL(link.href).searchParams.get("verdict");
    plot.redraw(false);
  });
  let asking = false;
  document.addEventListener("told", async ({ detail }) => {
    const told = detail.tiles.find((tile) => tile.id === id);
    if (!told) return;
    const attention = told.attention, state = document.getElementById("state");
    state.className = "badge big is-" + attention;
    state.querySelector("use").setAttribute("href", "#i-" + attention);
    state.querySelector("b").textContent = text("attention." + attention);
    document.getElementById("score").textContent = score(told.score);
    document.getElementById("behind").textContent = seconds(told.behind_s);
    document.getElementById("mode").textContent = text("mode." + told.mode);
    document.getElementById("faces").textContent = told.faces.length;
    if (asking) return;
    asking = true;
    try {
      const query = new URLSearchParams({ id, after: points.at(-1)?.id ?? "" });
      const answer = await fetch("/points?" + query);
      if (answer.ok) points = [...points, ...(await answer.json()).filter((point) => points.every((known) => known.id !== point.id))].slice(-MOST);
      draw();
    } finally { asking = false; }
  });
  new ResizeObserver(() => plot?.setSize({ width: chart.clientWidth, height: heightOf() })).observe(chart);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
