"use strict";
// Tiles follow the events. Only tiles in sight are painted, and nothing moves under a hand that points at it.
(() => {
  const { text, seconds, score, say } = window.scanner;
  const SILENT_MS = 15000, SPARK = 48, ORDER_MS = 1500;
  const RANKS = ["alert", "manipulated", "suspected", "silent", "insufficient", "clear", "ended"];
  const DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz";
  const wall = document.getElementById("wall"), search = document.getElementById("search");
  const blank = document.getElementById("tile").content.firstElementChild;
  const written = new Map([...wall.children].map((item) => [item.dataset.id, item])); // by the server
  const tiles = new Map(); // identity to { item, told, shown, seen, parts }
  const group = document.getElementById("group"), by = document.getElementById("by");
  const lines = new Map(); // group to its heading
  let wanted = "", words = [], hands = 0, told = false;

  const partsOf = (item) => ({
    link: item.querySelector("a"), use: item.querySelector("use"), word: item.querySelector(".state b"),
    score: item.querySelector(".score"), name: item.querySelector(".name"), where: item.querySelector(".where"), people: item.querySelector(".people"),
    spark: item.querySelector(".spark path"), behind: item.querySelector(".behind"),
    faces: item.querySelector(".faces"), mode: item.querySelector(".mode"),
  });
  const sight = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const tile = tiles.get(entry.target.dataset.id);
      if (!tile) continue;
      tile.seen = entry.isIntersecting;
      if (tile.seen) paint(tile);
    }
  }, { rootMargin: "200px" });
  const tileOf = (id) => {
    let tile = tiles.get(id);
    if (!tile) {
      let item = written.get(id);
      written.delete(id);
      if (!item) {
        item = blank.cloneNode(true);
        item.dataset.id = id;
        item.querySelector("a").href = "/stream?id=" + encodeURIComponent(id);
        wall.append(item);
      }
      tile = { id, item, told: null, painted: null, seen: false, parts: partsOf(item), attention: "", hidden: false };
      tiles.set(id, tile);
      sight.observe(item);
    }
    return tile;
  };
  const attentionOf = (tile, now) => {
    const calm = !["alert", "manipulated", "suspected"].includes(tile.told.attention) && !tile.told.ended;
    return calm && now - tile.told.heard_ms > SILENT_MS ? "silent" : tile.told.attention;
  };
  const sparkOf = (spark) => {
    let path = "", pen = "M";
    for (let place = 0; place < spark.length; place++) {
      if (spark[place] === "-") { pen = "M"; continue; }
      path += pen + (SPARK - spark.length + place) + " " + (35 - DIGITS.indexOf(spark[place])) + (pen === "M" ? "h.01" : "");
      pen = "L";
    }
    return path;
  };
  const set = (node, value) => {
    const only = node.childNodes.length === 1 ? node.firstChild : null;
    if (only?.nodeType !== Node.TEXT_NODE) node.textContent = value;
    else if (only.data !== value) only.data = value;
  };
  const portray = ({ id, told, parts }) => {
    const keys = told.pictures.map(([, key]) => key).join();
    if ((parts.people.dataset.keys ?? "") === keys) return;
    parts.people.dataset.keys = keys;
    parts.people.hidden = !keys;
    parts.where.classList.toggle("gone", Boolean(keys));
    const known = new Map([...parts.people.children].map((image) => [image.dataset.track, image]));
    parts.people.replaceChildren(...told.pictures.map(([track, key, label]) => {
      const image = known.get(track) ?? Object.assign(new Image(44, 44), { alt: "" });
      const source = "/face?" + new URLSearchParams({ id, track, key });
      if (image.getAttribute("src") !== source) image.src = source; // the old one stays until the new one is there
      image.dataset.track = track;
      image.className = "is-" + label;
      return image;
    }));
  };
  // What does not change is not written again: a browser would lay it out anew all the same.
  const wear = ({ item, parts, attention, fresh }) => {
    const worn = "tile is-" + attention + (fresh ? " fresh" : "");
    if (item.className === worn) return;
    item.className = worn;
    parts.use.setAttribute("href", "#i-" + attention);
    set(parts.word, text("attention." + attention));
  };
  const locate = ({ told, parts }) => {
    const places = told.faces.map(([box, label]) => [label, ...box.map((value) => value.toFixed(2))].join()).join(";");
    if (parts.where.dataset.places === places) return;
    parts.where.dataset.places = places;
    parts.where.replaceChildren(...told.faces.map(([box, label]) => {
      const face = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      const facts = { class: "is-" + label, x: 160 * box[0], y: 90 * box[1], width: 160 * (box[2] - box[0]), height: 90 * (box[3] - box[1]), rx: 5 };
      for (const name in facts) face.setAttribute(name, facts[name]);
      return face;
    }));
  };
  const paint = (tile) => {
    const { told, parts, attention } = tile;
    if (!told) return;
    const stamp = [told.heard_ms, attention, told.alerts, ...told.pictures].join();
    const still = attention === "silent" ? text("silent", { s: seconds(Math.round((window.scanner.now() - told.heard_ms) / 1000)) }) : text("behind", { s: seconds(told.behind_s) });
    set(parts.behind, still);
    if (tile.painted === stamp) return;
    tile.painted = stamp;
    wear(tile);
    set(parts.score, score(told.score));
    set(parts.name, told.name);
    set(parts.faces, text("faces", { n: told.faces.length }));
    set(parts.mode, text("mode." + told.mode));
    parts.spark.setAttribute("d", sparkOf(told.spark));
    portray(tile);
    if (!told.pictures.length) locate(tile);
  };
  const due = new Set();
  let painting = false;
  const soon = (tile) => {
    due.add(tile);
    if (painting) return;
    painting = true;
    requestAnimationFrame(() => {
      painting = false;
      for (const tile of due) if (tile.seen) paint(tile);
      due.clear();
    });
  };
  const ofGroup = (tile) => !group.value || tile.told.group === group.value;
  const matches = (tile) => (!wanted || tile.attention === wanted) && ofGroup(tile) && words.every((word) => tile.told.name.toLowerCase().includes(word));
  const sieve = (tile) => {
    const hidden = !matches(tile);
    if (hidden !== tile.hidden) tile.item.hidden = tile.hidden = hidden;
  };
  const filter = () => {
    for (const tile of tiles.values()) if (tile.told) sieve(tile);
    const shown = [...tiles.values()].some((tile) => !tile.hidden);
    if (lines.size) order();
    document.getElementById("nothing").hidden = shown || !tiles.size;
  };
  const judge = (tile, now) => {
    const before = tile.attention;
    tile.attention = attentionOf(tile, now);
    if (before === tile.attention) return false;
    tile.fresh = Boolean(before) && RANKS.indexOf(tile.attention) < RANKS.indexOf(before);
    if (before && tile.attention === "alert") say(text("raised", { name: tile.told.name }));
    return true;
  };
  // Groups come and go with their streams.
  const offer = () => {
    const names = [...new Set([...tiles.values()].map((tile) => tile.told.group))].filter(Boolean).sort();
    const known = [...group.options].slice(1).map((option) => option.value);
    if (names.join("\n") !== known.join("\n")) {
      const chosen = group.value;
      group.replaceChildren(group.options[0], ...names.map((name) => new Option(name, name, false, name === chosen)));
    }
    document.getElementById("grouping").hidden = names.length < 2;
  };
  const lineOf = (name) => {
    if (!lines.has(name)) {
      const line = document.createElement("li");
      line.className = "groupline";
      line.append(document.createElement("bdi"), document.createElement("small"));
      line.firstChild.textContent = name || text("ungrouped");
      lines.set(name, line);
    }
    return lines.get(name);
  };
  // Tiles under the heading of their group, the group first that has the most pressing one.
  const grouped = (sorted) => {
    const members = new Map();
    for (const tile of sorted) {
      if (!members.has(tile.told.group)) members.set(tile.told.group, []);
      members.get(tile.told.group).push(tile);
    }
    for (const [name, line] of lines) if (!members.has(name)) { line.remove(); lines.delete(name); }
    return [...members].flatMap(([name, tiles]) => {
      const line = lineOf(name), shown = tiles.filter((tile) => !tile.hidden).length;
      set(line.lastChild, String(shown));
      line.hidden = !shown;
      return [{ item: line }, ...tiles];
    });
  };
  const count = () => {
    const counts = Object.fromEntries(RANKS.map((name) => [name, 0]));
    let all = 0;
    for (const tile of tiles.values()) if (ofGroup(tile)) { counts[tile.attention]++; all++; }
    for (const node of document.querySelectorAll("[data-count]")) {
      const number = node.dataset.count ? counts[node.dataset.count] : all;
      set(node, String(number));
      node.closest(".chip").classList.toggle("none", Boolean(node.dataset.count) && !number);
    }
    document.getElementById("empty").hidden = tiles.size > 0;
  };
  // So many tiles come with the page next time, and no more, so that the first paint does not wait for them.
  const tell = () => {
    const seen = [...tiles.values()].filter((tile) => tile.seen).length;
    document.cookie = `tiles=${seen}; path=/; max-age=31536000; samesite=lax` + (location.protocol === "https:" ? "; secure" : "");
  };
  const order = () => {
    if (hands || wall.contains(document.activeElement)) return;
    // Tiles that need nobody stand still, whatever their scores do.
    const pressing = (tile) => (RANKS.indexOf(tile.attention) < 3 ? Math.round(tile.told.peak * 10) : 0);
    const sorted = [...tiles.values()].sort((a, b) =>
      RANKS.indexOf(a.attention) - RANKS.indexOf(b.attention) || pressing(b) - pressing(a) || (a.id < b.id ? -1 : 1));
    let next = wall.firstElementChild;
    for (const { item } of by.ariaPressed === "true" ? grouped(sorted) : sorted) {
      if (item === next) next = next.nextElementSibling;
      else wall.insertBefore(item, next);
    }
  };

  document.addEventListener("told", ({ detail }) => {
    const now = window.scanner.now();
    for (const id of detail.gone) {
      tiles.get(id)?.item.remove();
      tiles.delete(id);
    }
    for (const told of detail.tiles) {
      const tile = tileOf(told.id);
      tile.told = told;
      judge(tile, now);
      sieve(tile);
      soon(tile);
    }
    if (!told) { offer(); order(); }
    told = true;
    count();
  });
  setInterval(() => {
    if (!told) return;
    const now = window.scanner.now();
    for (const tile of tiles.values()) if (judge(tile, now) || tile.attention === "silent") { sieve(tile); soon(tile); }
    offer();
    count();
    filter();
    order();
    tell();
  }, ORDER_MS);
  // The address remembers the arrangement: a screen on a wall, or a bookmark, comes back as it was.
  const remember = () => {
    const now = new URLSearchParams();
    if (group.value) now.set("group", group.value);
    if (by.ariaPressed === "true") now.set("by", "group");
    history.replaceState(null, "", now.size ? "/?" + now : "/");
  };
  if (new URLSearchParams(location.search).get("by") === "group") by.ariaPressed = "true";
  by.addEventListener("click", () => {
    by.ariaPressed = String(by.ariaPressed !== "true");
    for (const line of lines.values()) line.remove();
    lines.clear();
    order();
    remember();
  });
  group.addEventListener("change", () => { filter(); count(); remember(); });
  wall.addEventListener("pointerenter", () => { hands = 1; });
  wall.addEventListener("pointerleave", () => { hands = 0; });
  for (const choice of document.querySelectorAll("input[name=show]")) {
    choice.addEventListener("change", () => { wanted = choice.value; filter(); });
  }
  search.addEventListener("input", () => { words = search.value.toLowerCase().split(/\s+/).filter(Boolean); filter(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus(); }
    if (event.key === "Escape" && document.activeElement === search) { search.value = ""; search.dispatchEvent(new Event("input")); search.blur(); }
  });
  document.getElementById("full").addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen();
  });
})();
