// What pages do beyond being read: search, keys, the choice of a layer's channels, the slider.
// A classic script, because a page from disk may load no other; without it every page still reads.
// Names come from studies and are set as text or as attributes only, never as markup.
"use strict";

(() => {
  const root = document.currentScript.src.replace(/assets\/report\.js.*$/, "");
  const the = (selector) => document.querySelector(selector);

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  // --- dialogs: the browser keeps the focus inside, closes on Escape and gives the focus back

  function dialog(name, ...children) {
    const close = element("form", { method: "dialog" }, element("button", {}, "Close"));
    const inside = element("div", {}, element("h2", {}, name), ...children, close);
    const made = element("dialog", { "aria-label": name }, inside);
    made.addEventListener("click", (event) => event.target === made && made.close());
    document.body.append(made);
    return made;
  }

  function open(made) {
    if (!made.open) made.showModal();
  }

  // --- the index of all pages, loaded when it is first asked for

  const KINDS = ["page", "network", "comparison", "layer", "channel", "class"];
  const MOST = 40; // results that are listed

  let index = null;

  function loaded() {
    index ??= new Promise((resolve, reject) => {
      const script = element("script", { src: `${root}assets/index.js` });
      script.addEventListener("load", () => resolve(readable(window.OVERPAINT_INDEX)));
      script.addEventListener("error", reject);
      document.head.append(script);
    });
    return index;
  }

  // "Naïve" is found by "naive".
  const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

  function readable(entries) {
    const classes = new Map(entries.map((each) => [each.name, each.classes]));
    return entries.map((each) => ({
      ...each,
      key: folded(each.name),
      text: folded(`${each.name} ${each.of ?? ""} ${each.kind}`),
      classes: classes.get(each.of) ?? [],
    }));
  }

  function found(entries, query) {
    const asked = folded(query.trim());
    const words = asked.split(/\s+/);
    const named = entries.filter((each) => words.every((word) => each.text.includes(word)));
    return [...named, ...channels(entries, asked)]
      .map((each) => [nearness(each.key, asked), KINDS.indexOf(each.kind), each])
      .sort((a, b) => a[0] - b[0] || a[1] - b[1])
      .map(([, , each]) => each);
  }

  function nearness(key, asked) {
    if (key === asked) return 0;
    return key.startsWith(asked) ? 1 : key.includes(asked) ? 2 : 3;
  }

  // "mixed4d:164", "mixed4d 164", or a number alone.
  function channels(entries, asked) {
    const [, layer, number] = /^(?:(.+?)[\s:]+)?(\d+)$/.exec(asked) ?? [];
    if (number === undefined) return [];
    const at = Number(number);
    return entries
      .filter((each) => each.kind === "layer" && (each.channels[at] ?? null) !== null)
      .filter((each) => layer === undefined || each.key.startsWith(layer))
      .map((each) => channel(each, at));
  }

  function channel(layer, at) {
    const leading = layer.classes[layer.channels[at]];
    const of = leading === undefined ? layer.of : `${layer.of} · led by ${leading}`;
    const place = layer.at.replace(/\.html$/, `/${at}.html`);
    return { kind: "channel", name: `${layer.name}:${at}`, key: `${layer.key}:${at}`, at: place, of };
  }

  // --- search

  function search() {
    const box = element("input", {
      type: "search", id: "search-box", autocomplete: "off", spellcheck: "false", dir: "auto",
    });
    const told = element("p", { role: "status", class: "told" });
    const results = element("ul", { class: "results" });
    const label = element("label", { for: "search-box" }, "A network, a class, a layer, or a channel such as mixed4d:164");
    const form = element("form", { role: "search" }, label, box);
    const made = dialog("Search", form, told, results);

    const show = async () => {
      try {
        const entries = await loaded();
        list(results, told, found(entries, box.value), box.value.trim());
      } catch {
        told.textContent = "The list of pages, assets/index.js, is missing from this site.";
      }
    };
    box.addEventListener("input", show);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      results.querySelector("a")?.click();
    });
    made.addEventListener("keydown", (event) => {
      if (event.key === "Escape") made.close(); // else the box is cleared first, by some browsers
      else walk(event, [box, ...results.querySelectorAll("a")]);
    });
    return () => {
      open(made);
      box.select();
      show();
    };
  }

  function list(results, told, all, query) {
    const shown = all.slice(0, MOST);
    results.replaceChildren(...shown.map(result));
    if (!all.length) told.textContent = `Nothing here is called “${query}”.`;
    else if (all.length > MOST) told.textContent = `The first ${MOST} of ${all.length}.`;
    else told.textContent = `${all.length} found.`;
  }

  function result({ kind, name, of, at }) {
    const aside = element("small", {}, kind, ...(of ? [" · ", element("bdi", {}, of)] : []));
    return element("li", {}, element("a", { href: root + at }, element("bdi", {}, name), aside));
  }

  // Up and down through the box and the results; what is typed on a result goes to the box.
  function walk(event, stops) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const at = stops.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (at >= 0 && step) {
      event.preventDefault();
      stops[Math.min(Math.max(at + step, 0), stops.length - 1)].focus();
    } else if (at > 0 && event.key.length === 1) stops[0].focus();
  }

  // --- keys

  const KEPT = "overpaint-keys"; // whoever speaks to the machine needs no keys of one letter

  function keysAreOff() {
    try {
      return localStorage.getItem(KEPT) === "off";
    } catch {
      return false; // nothing is stored here
    }
  }

  function turnKeys(on) {
    try {
      localStorage.setItem(KEPT, on ? "on" : "off");
    } catch {
      // they stay on
    }
  }

  function help() {
    const keys = [
      ["/", "search"],
      ["←", "the channel, layer or class before"],
      ["→", "the one after"],
      ["u", "up: from a channel to its layer, from there to its comparison"],
      ["?", "these keys"],
      ["Esc", "close what has opened"],
    ].map(([key, what]) => element("div", {}, element("dt", {}, element("kbd", {}, key)), element("dd", {}, what)));
    const box = element("input", { type: "checkbox" });
    box.checked = !keysAreOff();
    box.addEventListener("change", () => turnKeys(box.checked));
    const made = dialog("Keys", element("dl", { class: "keys" }, ...keys), element("label", {}, box, " Keys are on"));
    return () => open(made);
  }

  function follow(link, anchor = "") {
    if (link) location.href = link.href + anchor;
    return Boolean(link);
  }

  // The first link above the heading leads up; from a channel, to its place in the layer.
  function up() {
    const unit = the("#unit");
    return follow(the(".kicker a") ?? the(".home"), unit ? `#c${unit.dataset.channel}` : "");
  }

  const ACTS = {
    "/": () => searching(),
    "?": () => helping(),
    u: up,
    ArrowLeft: () => follow(the("#previous")),
    ArrowRight: () => follow(the("#next")),
  };

  function pressed(event) {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || keysAreOff()) return;
    // A field of a dialog keeps the focus for a moment after that has closed.
    if (the("dialog[open]") || event.target.closest(":is(input, select, textarea):not(dialog *)")) return;
    const arrow = event.key.startsWith("Arrow"); // a shift marks text, a wide box scrolls
    if (arrow && (event.shiftKey || event.target.closest(".scroll, pre"))) return;
    if (Object.hasOwn(ACTS, event.key) && ACTS[event.key]() !== false) event.preventDefault();
  }

  // --- the channels of a layer: order and choice, kept in the address

  function choice() {
    const form = the("#choice");
    if (!form) return;
    const list = the("#tiles");
    const tiles = [...list.children];
    const fields = [...form.elements].filter((each) => each.name);

    const read = () => {
      const kept = new URLSearchParams(location.hash.slice(1));
      for (const each of fields) {
        each.value = kept.get(each.name) ?? "";
        if (each.selectedIndex === -1) each.selectedIndex = 0; // no such choice
      }
      apply();
    };
    const apply = () => {
      const chosen = Object.fromEntries(fields.map((each) => [each.name, each.value]));
      list.append(...ordered(tiles, chosen.sort));
      for (const tile of tiles) tile.hidden = !isChosen(tile, chosen);
      const shown = tiles.filter((tile) => !tile.hidden).length;
      the("#shown").textContent = `${count(shown)} of ${count(tiles.length)} channels shown.`;
    };
    const keep = () => {
      const kept = new URLSearchParams(fields.filter((each) => each.value).map((each) => [each.name, each.value]));
      history.replaceState(null, "", `#${kept}`);
      apply();
    };
    form.hidden = false;
    form.addEventListener("input", keep);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(keep));
    addEventListener("hashchange", read);
    read();
  }

  const count = (number) => number.toLocaleString("en");
  const FALLING = new Set(["concentration", "change"]); // the most of it first

  function ordered(tiles, name) {
    if (!name) return tiles;
    const sign = FALLING.has(name) ? -1 : 1;
    const value = (tile) => tile.getAttribute(`data-${name}`);
    const compared = (a, b) => (name === "leading" ? a.localeCompare(b) : sign * (a - b));
    return [...tiles].sort((one, other) => {
      const [a, b] = [value(one), value(other)];
      return a && b ? compared(a, b) : Number(!a) - Number(!b); // those without come last
    });
  }

  function isChosen(tile, chosen) {
    const { leading, dead, specialised, overlap, change, concentration } = tile.dataset;
    const states = { alive: !dead, dead: Boolean(dead), specialised: Boolean(specialised) };
    return (
      (!chosen.leading || leading === chosen.leading) &&
      (!chosen.state || states[chosen.state]) &&
      within(change, chosen["change-from"], "") &&
      within(concentration, chosen["concentration-from"], "") &&
      within(overlap, "", chosen["overlap-to"])
    );
  }

  // A bound that is not set bounds nothing; a value that is not there is within no other.
  function within(value, from, to) {
    if (!from && !to) return true;
    return value !== "" && (!from || Number(value) >= from) && (!to || Number(value) <= to);
  }

  // --- before and after, over each other

  function slider() {
    const pair = the("#slider");
    const images = pair?.querySelectorAll(".rendering img") ?? [];
    if (images.length !== 2) return;
    const [before, after] = [...images].map((each) => each.cloneNode());
    for (const each of [before, after]) each.alt = ""; // the same pictures stand beside it
    const stage = element("div", { class: "stage" }, before, after);
    const range = element("input", { type: "range", min: "0", max: "100", value: "50", id: "reveal" });
    const label = element("label", { for: "reveal" }, element("b", {}, "before | after"), ", over each other");

    const reveal = () => {
      stage.style.setProperty("--at", `${range.value}%`);
      range.setAttribute("aria-valuetext", `${range.value} % before, ${100 - range.value} % after`);
    };
    const drag = (event) => {
      if (!event.buttons) return;
      const { left, width } = stage.getBoundingClientRect();
      range.value = (100 * (event.clientX - left)) / width;
      reveal();
    };
    range.addEventListener("input", reveal);
    stage.addEventListener("pointerdown", drag);
    stage.addEventListener("pointermove", drag);
    stage.addEventListener("dragstart", (event) => event.preventDefault());
    pair.classList.add("three");
    pair.append(element("figure", { class: "rendering over-each-other" }, stage, range, element("figcaption", {}, label)));
    reveal();
  }

  // --- all of it

  function button(name, key, act) {
    const made = element("button", { type: "button", "aria-keyshortcuts": key }, name, " ", element("kbd", { "aria-hidden": "true" }, key));
    made.addEventListener("click", act);
    return made;
  }

  const searching = search();
  const helping = help();
  the(".top").append(element("span", { class: "tools" }, button("Search", "/", searching), button("Keys", "?", helping)));
  document.addEventListener("keydown", pressed);
  choice();
  slider();
})();
