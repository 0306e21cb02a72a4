"use strict";
// The whole queue from the keyboard. Without scripts the same buttons post the same forms.
(() => {
  const desk = document.getElementById("desk"), keys = document.getElementById("keys");
  const press = (key) => desk.querySelector('button[data-key="' + key + '"]')?.click();
  const step = (by) => {
    const cases = [...desk.querySelectorAll(".pile a")];
    const now = cases.findIndex((link) => link.hasAttribute("aria-current"));
    cases[Math.min(cases.length - 1, Math.max(0, now + by))]?.click();
  };
  document.addEventListener("keydown", (event) => {
    const typing = ["TEXTAREA", "INPUT"].includes(event.target.tagName);
    if (typing && event.key === "Escape") event.target.blur();
    if (typing || keys.open || event.ctrlKey || event.metaKey || event.altKey) return;
    const does = {
      c: () => press("c"), r: () => press("r"), u: () => press("u"), z: () => press("z"),
      n: () => document.getElementById("note")?.focus(),
      j: () => step(1), k: () => step(-1), "?": () => keys.showModal(),
      " ": () => { const video = desk.querySelector("video"); if (video) video.paused ? video.play() : video.pause(); },
    }[event.key];
    if (!does || (event.key === " " && event.target.matches("button, a, summary, video"))) return;
    event.preventDefault();
    does();
  });
  // A new case may come while somebody looks at one: the pile is made anew only while nobody is busy with it.
  let seen = null;
  document.addEventListener("told", ({ detail }) => {
    if (seen !== null && seen !== detail.waiting && !desk.querySelector(".case .answer")) htmx.ajax("GET", "/reviews", { target: "#desk" });
    seen = detail.waiting;
  });
})();
