"use strict";
// Reads the chart out under the pointer or the arrow keys. Without it the page says the same in its lists.
for (const plot of document.querySelectorAll(".plot")) {
  const lines = JSON.parse(plot.dataset.lines);
  const duration = Number(plot.dataset.duration);
  const cursor = plot.querySelector(".cursor");
  const readout = plot.parentElement.querySelector(".readout");
  let now = 0;

  const clock = (ms) => {
    const total = Math.floor(ms / 1000);
    const two = (n) => String(n).padStart(2, "0");
    const hours = Math.floor(total / 3600);
    const minutes = Math.floor(total / 60) % 60;
    return (hours ? hours + ":" + two(minutes) : minutes) + ":" + two(total % 60) + "." + Math.floor((ms % 1000) / 100);
  };
  const scoreAt = (points) => {
    const inside = points.filter((point) => point[0] <= now && now < point[1]);
    return inside.length ? Math.max(...inside.map((point) => point[2])).toFixed(2) : "–";
  };
  const show = () => {
    cursor.hidden = false;
    cursor.style.left = (100 * now) / duration + "%";
    const scores = lines.map((line) => (lines.length > 1 ? line.name + " " : "") + scoreAt(line.points));
    readout.textContent = clock(now) + "  ·  " + scores.join("  ·  ");
  };
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    now = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * duration;
    show();
  });
  plot.addEventListener("pointerleave", () => {
    cursor.hidden = true;
    readout.textContent = "";
  });
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    now = Math.min(duration, Math.max(0, now + (step * duration) / 60));
    show();
  });
  plot.addEventListener("blur", () => { cursor.hidden = true; });
}
