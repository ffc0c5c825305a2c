// What pages do beyond being read: search, keys, the choice of a layer's channels, each of them, the
// slider.
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

  const KINDS = ["page", "network", "comparison", "map", "pictures", "layer", "channel", "class"];
  const MOST = 40; // results that are listed

  let index = null;

  function loaded() {
    index ??= beside(`${root}assets/index.js`).then(() => readable(window.OVERPAINT_INDEX));
    return index;
  }

  // A script that lies beside the pages.
  function beside(src) {
    return new Promise((resolve, reject) => {
      const script = element("script", { src });
      script.addEventListener("load", resolve);
      script.addEventListener("error", reject);
      document.head.append(script);
    });
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

  // "mixed4d:164", "mixed4d 164", a number alone, or an address such as "…/mixed4d.html#164" or, of
  // an old report, "…/mixed4d/164.html".
  function channels(entries, asked) {
    const [, layer, number] = /^(?:(?:.*\/)?(.+?)(?:\.html#|[\s:/]+))?(\d+)(?:\.html)?$/.exec(asked) ?? [];
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
    return { kind: "channel", name: `${layer.name}:${at}`, key: `${layer.key}:${at}`, at: `${layer.at}#${at}`, of };
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
    results.addEventListener("click", (event) => event.target.closest("a") && made.close());
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

  // The first of such links that is not hidden with what stands around it.
  const visible = (selector) => the(`:is(${selector}):not([hidden], [hidden] *)`);

  function follow(link) {
    link?.click();
    return Boolean(link);
  }

  // The first link above the heading leads up; from a channel, to its place in the layer.
  const up = () => follow(visible(".kicker a") ?? the(".home"));

  const ACTS = {
    "/": () => searching(),
    "?": () => helping(),
    u: up,
    ArrowLeft: () => follow(visible("[rel=prev]")),
    ArrowRight: () => follow(visible("[rel=next]")),
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
    const value = (tile) => tile.getAttribute(`data-${name}`) ?? "";
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
    return Boolean(value) && (!from || Number(value) >= from) && (!to || Number(value) <= to);
  }

  // --- a channel of a layer: the layer's page shows any of them, from the scripts beside it

  function view() {
    const unit = the("#unit");
    if (!unit) return;
    const layer = the("#layer");
    const nameOfLayer = document.title;
    const { layer: name, channels, pictures } = unit.dataset;
    let data = null;

    const load = () => {
      data ??= Promise.all([beside(channels), beside(pictures)]).then(() =>
        read(window.OVERPAINT_LAYER, window.OVERPAINT_PICTURES, name));
      return data;
    };
    const show = async () => {
      const number = asked();
      const cameFromLayer = unit.hidden;
      unit.hidden = number === null;
      layer.hidden = number !== null;
      if (number === null) {
        document.title = nameOfLayer;
        if (!cameFromLayer) document.getElementById(location.hash.slice(1))?.scrollIntoView({ behavior: "instant" });
        return;
      }
      if (cameFromLayer) scrollTo({ top: 0, behavior: "instant" });
      document.title = `${name}:${number} · ${nameOfLayer.slice(nameOfLayer.indexOf(" · ") + 3)}`;
      the("#up").href = `#c${number}`;
      the("#number").textContent = number;
      try {
        const all = await load();
        if (asked() === number) fill(unit, all, all.rows.get(number));
      } catch {
        the("#summary").textContent = `The data of this layer, ${channels} or ${pictures}, is missing from this site.`;
      }
    };
    const asked = () => {
      const number = /^#(\d+)$/.exec(location.hash)?.[1];
      return number !== undefined && document.getElementById(`c${number}`) ? number : null;
    };
    // From channel to channel without looking for the place of the next one in the hidden list, which
    // takes the browser half a second among a thousand.
    document.addEventListener("click", (event) => {
      const hash = event.target.closest("a")?.getAttribute("href");
      const isPlain = !(event.button || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey);
      if (!isPlain || !/^#\d+$/.test(hash)) return;
      event.preventDefault();
      history.pushState(null, "", hash);
      show();
    });
    addEventListener("hashchange", show);
    addEventListener("beforeprint", finish);
    show();
  }

  // What a script says: its rows, and what a cell of them means.
  function said({ words, rows }) {
    const word = (value) => (typeof value === "number" ? words[value] : value);
    return { word, rows };
  }

  // The data of a layer with its words in their places, and the way from each channel to the next.
  function read(layer, pictures, name) {
    const { word, rows } = said(layer);
    const link = (row) => ({ text: `${name}:${row[0]}`, href: `#${row[0]}` });
    const end = (pair) => pair && { text: pair[0], href: root + pair[1] };
    const [first, last] = layer.beside.map(end);
    const all = new Map(rows.map((row, at) => [String(row[0]), {
      row,
      previous: at ? link(rows[at - 1]) : first,
      next: at + 1 < rows.length ? link(rows[at + 1]) : last,
    }]));
    const thumbs = said(pictures);
    const digits = new Map([...layer.digits].map((digit, value) => [digit, value]));
    return { ...layer, word, rows: all, digits, thumbs, sheets: pictures.sheets, page: pictures.page };
  }

  function fill(unit, data, { row, previous, next }) {
    const { word, names, patterns } = data;
    const [, remark, which, values, facts, ranks, sides, together] = row;
    const [start, ...pieces] = patterns[which];
    the("#summary").textContent = start + pieces.map((piece, at) => word(values[at]) + piece).join("");
    say(the("#remark"), word(remark));
    lead(unit.querySelector("[rel=prev]"), previous);
    lead(unit.querySelector("[rel=next]"), next);

    const drawn = sides.some(([, drawing]) => drawing.length);
    the("#drawn").hidden = !drawn && !together.length;
    const unitName = `${unit.dataset.layer}:${row[0]}`;
    const why = word(sides[1][0]);
    const how = the("#undrawn").dataset.how.replace("{}", () => unitName);
    say(the("#undrawn"), drawn ? "" : `${why[0].toUpperCase()}${why.slice(1)}; ${how}.`);
    const halves = [...unit.querySelectorAll(".maximal")];
    const figures = sides.map(([caption, drawing], at) =>
      rendering(drawing.map(word), ["before", "after"][at], halves[at].dataset.network, word(caption)));
    the("#slider").replaceChildren(...(drawn ? figures : []));
    the("#slider").classList.remove("three");
    slider();
    the("#together").replaceChildren(...together.map((each) => {
      const [src, width, height, alt, what] = each.map(word);
      return element("figure", { class: "rendering" }, image(root + src, width, height, alt), element("figcaption", {}, what));
    }));
    the("#together").hidden = !together.length;

    the("#facts").replaceChildren(...facts.map((each) => fact(each.map(word), names)));
    the("#ranks").replaceChildren(...ranks.map((each) => fact(each.map(word), names)));

    const images = sides.map(([, , written]) => unwritten(word(written), data));
    const shared = new Set(images[0].map(({ number }) => number));
    const both = new Set(images[1].map(({ number }) => number).filter((number) => shared.has(number)));
    const later = [];
    halves.forEach((half, at) => {
      const lost = images[at].filter(({ number }) => data.thumbs.rows[number][2] == null).length;
      const { network } = half.dataset;
      half.querySelector("small").textContent = `${network}, ${images[at].length}${lost ? `, ${lost} without a thumbnail` : ""}`;
      const list = half.querySelector("ol");
      const thumbs = (some) => some.map((each) => thumb(each, both.has(each.number), data, at));
      list.replaceChildren(...thumbs(images[at].slice(0, FIRST)));
      later.push(() => list.append(...thumbs(images[at].slice(FIRST))));
      list.hidden = !images[at].length;
      half.querySelector(".remark").hidden = images[at].length > 0;
    });
    afterwards(() => later.forEach((rest) => rest()));
  }

  // The images of the first screen are made at once, and the others when those are painted, or
  // when the page is printed before.
  const FIRST = 30;
  let waiting = null;

  function afterwards(act) {
    waiting = act;
    requestAnimationFrame(() => setTimeout(() => waiting === act && finish()));
  }

  function finish() {
    waiting?.();
    waiting = null;
  }

  function say(paragraph, text) {
    paragraph.textContent = text;
    paragraph.hidden = !text;
  }

  function lead(link, to) {
    link.hidden = !to;
    if (!to) return;
    link.href = to.href;
    link.querySelector("bdi").textContent = to.text;
  }

  const image = (src, width, height, alt) => element("img", { src, width, height, alt, loading: "lazy" });

  function rendering([src, width, height, alt], when, network, caption) {
    const shown = src === undefined ? element("div", { class: "absent" }, "not drawn") : image(root + src, width, height, alt);
    const words = element("figcaption", {}, element("b", {}, when), ` · ${network}`, element("small", {}, caption));
    return element("figure", { class: `rendering ${when}` }, shown, words);
  }

  function fact([name, value, aside, href], names) {
    const linked = (text, to) => {
      if (!to) return text;
      return element("a", { href: to.startsWith("#") ? to : root + to }, text);
    };
    const told = element("span", { dir: "auto" }, linked(value ?? "", href));
    const more = aside ? [element("small", {}, aside)] : [];
    return element("div", {}, element("dt", {}, linked(name, names[name])), element("dd", {}, told, ...more));
  }

  // Maximal images from their digits: of each the number of a picture, then that of a position.
  function unwritten(written, { digits, widths, columns }) {
    const [ofPicture, ofPlace] = widths;
    const value = (from, width) => [...written.substr(from, width)].reduce((sum, digit) => sum * digits.size + digits.get(digit), 0);
    const images = [];
    for (let at = 0; at < written.length; at += ofPicture + ofPlace) {
      const place = value(at + ofPicture, ofPlace) - 1;
      const position = place < 0 ? null : [Math.floor(place / columns), place % columns];
      images.push({ number: value(at, ofPicture), position });
    }
    return images;
  }

  function thumb({ number, position }, isShared, { thumbs, sheets, seen, page }, side) {
    const { word, rows } = thumbs;
    const [name, label, place, width, height, x, y, source, about] = rows[number];
    const src = word(place);
    const [href, remark] = [word(source), word(about)];
    const title = remark ? { title: remark } : {};
    let shown = element("div", { class: "absent", title: word(name) }, "no picture");
    if (src != null) shown = sheets[src] ? cell(src, sheets[src], [x, y, width, height], word(name)) : image(root + src, width, height, word(name));
    if (page && src != null) shown = element("a", { href: `${root}${page}#${encodeURIComponent(word(name))}`, ...title }, shown);
    else if (href) shown = element("a", { href, rel: "noreferrer", ...title }, shown);
    else if (remark) shown = element("div", title, shown);
    const words = element("span", {}, word(label));
    if (isShared) words.prepend(element("i", { class: "unseen" }, "in both rows: "));
    const item = element("li", isShared ? { class: "shared" } : {}, shown, words);
    if (position && src != null && seen[side]) item.append(outline(seen[side], position, width, height));
    return item;
  }

  function drawing(tag, attributes, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  // A thumbnail on a sheet.
  function cell(src, [width, height], box, name) {
    const sheet = drawing("image", { href: root + src, width, height });
    return drawing("svg", {
      class: "cell", viewBox: box.join(" "), preserveAspectRatio: "xMidYMid slice", role: "img", "aria-label": name,
    }, sheet);
  }

  // The box that a position has seen and its middle, over a picture: as report/parts/outline.py.
  function outline({ rows, columns, size, resize, crop_mode: mode }, [row, column], width, height) {
    const [x, y] = fitted(width, height, resize, mode).map((resized, axis) => {
      const length = [width, height][axis];
      let first = resized >= size ? Math.floor((resized - size) / 2) : -Math.floor((size - resized) / 2);
      if (mode !== "center" && resized >= size) first = Math.round((resized - size) / 2);
      const along = (end) => {
        const place = first + Math.min(Math.max(end, 0), size);
        return Number(((Math.min(Math.max(place, 0), resized) * length) / resized).toFixed(1));
      };
      const line = [columns, rows][axis];
      const start = line.start + [column, row][axis] * line.jump;
      const ends = [start, start + line.size].map(along);
      return { ends, middle: along(start + line.size / 2), whole: String(ends) === String([0, size].map(along)) };
    });
    const box = `M${x.ends[0]} ${y.ends[0]}H${x.ends[1]}V${y.ends[1]}H${x.ends[0]}z`;
    const paths = [...(x.whole && y.whole ? [] : [box]), `M${x.middle} ${y.middle}h0`];
    return drawing("svg", {
      class: "seen", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "xMidYMid slice", "aria-hidden": "true",
    }, ...paths.map((d) => drawing("path", { d })));
  }

  // The size that a picture is resized to: as fitted_size in pixels/images.py.
  function fitted(width, height, resize, mode) {
    if (mode === "squash") return [resize, resize];
    const side = mode === "border" ? Math.max(width, height) : Math.min(width, height);
    return [width, height].map((length) => Math.max(1, (length * resize) / side));
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

  // An address of a channel on the page of its comparison, `#mixed4d:164`, leads to where it is shown.
  function forward() {
    const [, layer, number] = /^#(.+)(?::|%3A|-)(\d+)$/i.exec(location.hash) ?? [];
    if (!layer || document.getElementById(location.hash.slice(1))) return;
    const link = document.getElementById(`layer-${layer}`)?.querySelector("a");
    if (link) location.replace(`${link.href}#${number}`);
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
  view();
  forward();
  addEventListener("hashchange", forward);
  window.OVERPAINT = { root, the, element, drawing, image, cell, beside, said, say, lead, folded, count };
})();
