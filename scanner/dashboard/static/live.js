"use strict";
// One connection a page: what changed comes as an event "told" on the document.
(() => {
  const script = document.currentScript;
  const texts = JSON.parse(document.getElementById("texts").textContent);
  const pulse = document.getElementById("pulse");
  const waiting = document.getElementById("waiting");
  const said = document.getElementById("said");
  const only = document.getElementById("chart");

  window.scanner = {
    text: (key, holes = {}) => (texts["js." + key] ?? key).replace(/\{(\w+)\}/g, (_, name) => holes[name]),
    seconds: (value) => (value === null ? "–" : value < 100 ? value.toFixed(1) + " s" : Math.round(value) + " s"),
    score: (value) => (value === null ? "–" : value.toFixed(2)),
    clock: (ms) => {
      const total = Math.floor(ms / 1000), two = (n) => String(n).padStart(2, "0");
      const hours = Math.floor(total / 3600), minutes = Math.floor(total / 60) % 60;
      return (hours ? hours + ":" + two(minutes) : minutes) + ":" + two(total % 60) + "." + Math.floor((ms % 1000) / 100);
    },
    say: (line) => { said.textContent = line; },
    skew: 0, // ms the server's clock is ahead of ours
    now: () => Date.now() + window.scanner.skew,
  };

  const tongue = document.documentElement.lang;
  const locale = navigator.language.startsWith(tongue.slice(0, 2)) ? navigator.language : tongue;
  const mood = (kind, text) => {
    if (pulse.className === "pulse " + kind) return;
    pulse.className = "pulse " + kind;
    pulse.querySelector("span").textContent = text;
  };
  const local = (root) => {
    for (const time of root.querySelectorAll("time.when:not([datetime])")) {
      const at = new Date(Number(time.dataset.ms));
      time.dateTime = at.toISOString();
      time.textContent = at.toLocaleTimeString(locale);
      time.title = at.toLocaleString(locale);
    }
  };
  const connect = () => {
    const address = new URL("/events", location);
    address.searchParams.set("since", script.dataset.since);
    if (only) address.searchParams.set("stream", only.dataset.id);
    const source = new EventSource(address);
    source.onopen = () => mood("live", window.scanner.text("live"));
    source.onerror = () => {
      mood("lost", window.scanner.text("lost"));
      // A browser gives up after an answer that is no stream: it may be a restart, or the session is over.
      if (source.readyState === EventSource.CLOSED) setTimeout(again, 3000);
    };
    source.onmessage = (event) => {
      const told = JSON.parse(event.data);
      script.dataset.since = told.version;
      window.scanner.skew = told.now_ms - Date.now();
      waiting.textContent = told.waiting;
      waiting.hidden = !told.waiting;
      document.dispatchEvent(new CustomEvent("told", { detail: told }));
    };
  };
  const again = async () => {
    const answer = await fetch("/", { method: "HEAD" }).catch(() => null);
    if (answer && answer.status === 401) location.reload();
    else connect();
  };

  // A player that cannot play says so instead of standing there black; it may have failed before we listened.
  const failed = (video) => {
    video.hidden = true;
    video.parentElement.querySelector(".lost").hidden = false;
  };
  const look = () => {
    local(document);
    for (const video of document.querySelectorAll(".player video")) {
      if (video.error) failed(video); // without a source is also one that has not yet begun to load
    }
  };
  document.addEventListener("error", (event) => { if (event.target.tagName === "VIDEO") failed(event.target); }, true);
  document.addEventListener("htmx:after:swap", look);
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
  });
  look();
  document.addEventListener("DOMContentLoaded", connect); // after the page's own script has begun to listen
})();
