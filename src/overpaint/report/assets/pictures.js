// A picture, shown on the page of its dataset from the script beside it; and the map of pictures.
// After report.js, whose means it uses. Names are set as text or as attributes only.
"use strict";

(() => {
  const { root, the, element, drawing, image, cell, beside, said, say, lead, folded, count } = window.OVERPAINT;
  const decoded = (hash) => {
    try {
      return decodeURIComponent(hash.slice(1));
    } catch {
      return "";
    }
  };

  // --- a picture

  function view() {
    const article = the("#picture");
    if (!article) return;
    const list = the("#pictures");
    const nameOfPage = document.title;
    const src = article.dataset.pictures;
    let data = null;

    const load = () => (data ??= beside(src).then(() => read(window.OVERPAINT_COLLECTION)));
    const show = async () => {
      const name = asked();
      const cameFromList = article.hidden;
      article.hidden = name === null;
      list.hidden = name !== null;
      if (name === null) {
        document.title = nameOfPage;
        return;
      }
      if (cameFromList) scrollTo({ top: 0, behavior: "instant" });
      document.title = `${name} · ${nameOfPage}`;
      const start = name.lastIndexOf("/", name.length - 2) + 1; // its folders stand above it, small
      the("#name").replaceChildren(element("small", {}, name.slice(0, start)), name.slice(start));
      try {
        const all = await load();
        if (asked() === name) fill(all, all.numbers.get(name));
      } catch {
        the("#summary").textContent = `The data of these pictures, ${src}, is missing from this site.`;
      }
    };
    const asked = () => {
      const tile = document.getElementById(location.hash.slice(1));
      return tile?.matches("#picture-list li") ? tile.querySelector("b").textContent : null;
    };
    // As from channel to channel: without looking for the place of the next in the hidden list.
    document.addEventListener("click", (event) => {
      const hash = event.target.closest("a")?.getAttribute("href");
      const isPlain = !(event.button || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey);
      if (!isPlain || !hash?.startsWith("#") || !document.getElementById(hash.slice(1))?.matches("#picture-list li")) return;
      event.preventDefault();
      history.pushState(null, "", hash);
      show();
    });
    addEventListener("hashchange", show);
    show();
    choice();
  }

  function choice() {
    const form = the("#picture-choice");
    const tiles = [...document.querySelectorAll("#picture-list li")].map((tile) => [tile, folded(tile.textContent)]);
    const apply = () => {
      const words = folded(form.elements.words.value).split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const [tile, text] of tiles) {
        tile.hidden = !words.every((word) => text.includes(word));
        shown += !tile.hidden;
      }
      the("#picture-count").textContent = `${count(shown)} of ${count(tiles.length)} pictures shown.`;
    };
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    apply();
  }

  const at = (name) => `#${encodeURIComponent(name)}`;

  function read(script) {
    const { word, rows } = said(script);
    const pictures = rows.map(([name, summary, facts, thumb, told, pairs]) => ({
      name: word(name),
      summary: word(summary),
      facts: facts.map((cells) => cells.map(word)),
      thumb: thumb.length ? [word(thumb[0]), ...thumb.slice(1)] : null,
      told: told.map((classes) => classes.map(([label, share, right]) => [word(label), word(share), right])),
      pairs: pairs.map((pair) => (pair.length ? pair : [[], []])),
    }));
    const numbers = new Map(pictures.map(({ name }, number) => [name, number]));
    return { ...script, word, pictures, numbers };
  }

  function fill(data, number) {
    const { pictures, networks, pairs, word } = data;
    const picture = pictures[number];
    const link = (to) => to && { text: to.name.split("/").pop() || to.name, href: at(to.name) };
    the("#summary").textContent = picture.summary;
    lead(the("#picture [rel=prev]"), link(pictures[number - 1]));
    lead(the("#picture [rel=next]"), link(pictures[number + 1]));
    const large = thumbnail(picture, data.sheets), [, width, height] = picture.thumb ?? [];
    if (height > width) large.style.width = `min(100%, 20rem, ${(24 * width) / height}rem)`; // no taller than a screen
    the("#large").replaceChildren(large);
    the("#facts").replaceChildren(...picture.facts.map(fact));
    the("#saying").hidden = !picture.told.some((classes) => classes.length);
    the("#saying tbody").replaceChildren(...networks.flatMap(([name, href], place) => {
      const classes = picture.told[place];
      return classes.length ? [line(name, href, classes)] : [];
    }));
    the("#pairs").replaceChildren(...pairs.flatMap((pair, place) => ofPair(data, picture, pair, picture.pairs[place], word)));
    the("#picture").dispatchEvent(new CustomEvent("shown", { detail: picture.name }));
  }

  function thumbnail({ name, thumb }, sheets) {
    if (!thumb) return element("div", { class: "absent", title: name }, "no picture");
    const [src, width, height, x, y] = thumb;
    if (!sheets[src]) return image(root + src, width, height, name);
    const shown = cell(src, sheets[src], [x, y, width, height], name);
    shown.setAttribute("width", width);
    shown.setAttribute("height", height);
    return shown;
  }

  function fact([name, value, href]) {
    const away = /^https?:/i.test(href ?? "");
    let shown = value;
    if (href) shown = element("a", away ? { href, rel: "noreferrer" } : { href: root + href }, value);
    return element("div", {}, element("dt", {}, name), element("dd", {}, element("span", { dir: "auto" }, shown)));
  }

  function line(name, href, classes) {
    const cells = classes.map(([label, share, right], rank) => {
      const words = [element("bdi", {}, label), ` ${share}`];
      if (right) words[0] = element("b", {}, words[0]);
      const aside = right ? "right" : rank === 0 ? "wrong" : "";
      return element("td", right ? { class: "right" } : {}, ...words, ...(aside ? [element("small", {}, aside)] : []));
    });
    return element("tr", {}, element("th", { scope: "row" }, element("a", { href: root + href }, name)), ...cells);
  }

  // What two networks make of a picture: those near it, and the channels that it excites.
  function ofPair(data, picture, pair, [near, excited], word) {
    if (!near.length && !excited.length) return [];
    const { pictures, sheets } = data;
    const title = element("h2", {}, element("a", { href: root + pair.href }, word(pair.title)));
    const parts = [];
    if (near.length) {
      const [kept, ...sides] = near;
      const both = new Set(sides[0].filter((number) => sides[1].includes(number)));
      const text = `${word(kept)} nearest neighbours before are so after too; unrelated features would keep ${word(pair.chance)}. A frame marks those that stand on both sides. `;
      const onMap = element("a", { href: `${root}${pair.map}${at(picture.name)}` }, "On the map");
      parts.push(
        element("h3", {}, "Its nearest neighbours"),
        element("p", { class: "reading" }, text, onMap),
        halves(pair, (side) => element("ol", { class: "thumbs" }, ...sides[side].map((number) => neighbour(pictures[number], both.has(number), sheets)))),
      );
    }
    if (excited.length) {
      parts.push(
        element("h3", {}, "Channels that it excites"),
        element("p", { class: "reading" }, `Of which it is one of the first ${pair.k} pictures of ${pair.split}; those where it stands first.`),
        halves(pair, (side) => channels(excited[side], pair, data)),
      );
    }
    return [element("section", {}, title, ...parts)];
  }

  function halves({ networks }, made) {
    const sides = ["before", "after"].map((when, side) =>
      element("section", {}, element("h4", {}, `${when} `, element("small", {}, networks[side])), made(side)));
    return element("div", { class: "halves" }, ...sides);
  }

  function neighbour(picture, isShared, sheets) {
    const shown = element("a", { href: at(picture.name) }, thumbnail(picture, sheets));
    const label = picture.facts.filter(([name]) => name === "Class").map(([, value]) => value).join(" · ");
    const words = element("span", {}, label || "–");
    if (isShared) words.prepend(element("i", { class: "unseen" }, "on both sides: "));
    return element("li", isShared ? { class: "shared" } : {}, shown, words);
  }

  // Layer, channel and rank of each, in digits.
  function channels([total, written], { layers, widths }, { digits, word }) {
    if (!total) return element("p", { class: "remark" }, "None.");
    const signs = [...word(written)].map((sign) => digits.indexOf(sign));
    const number = (width) => signs.splice(0, width).reduce((sum, digit) => sum * digits.length + digit, 0);
    const items = [];
    while (signs.length) {
      const [layer, channel, rank] = widths.map(number);
      const [name, href] = layers[layer].map(word);
      const to = element("a", { href: `${root}${href}#${channel}` }, `${name}:${channel}`);
      items.push(element("li", {}, to, element("small", {}, `place ${rank}`)));
    }
    const rest = total - items.length;
    if (rest) items.push(element("li", {}, `and ${count(rest)} more`));
    return element("ul", { class: "excited" }, ...items);
  }

  // --- the map

  function map() {
    const planes = [...document.querySelectorAll(".plane")];
    if (planes.length !== 2) return;
    const tiles = planes.map((plane) => [...plane.querySelectorAll(":scope > a")]);
    const places = tiles.map((side) => side.map((tile) => tile.getAttribute("transform").match(/-?\d+/g).map(Number)));
    const classFrames = tiles[0].map((tile) => tile.getAttribute("class"));
    const panel = the("#marked");
    const marks = planes.map((plane) => {
      const mark = drawing("g", { class: "mark", "aria-hidden": "true" });
      plane.append(mark);
      return mark;
    });
    const sights = planes.map((plane) => {
      const [, , width, height] = plane.getAttribute("viewBox").split(" ");
      plane.parentElement.style.aspectRatio = `${width} / ${height}`; // also while the plane is larger
      return plane.parentElement;
    });
    let marked = -1;

    // Of a plane that is larger than its sight, the part where a picture lies, or the middle.
    const look = (side, number) => {
      const sight = sights[side];
      const { width } = planes[side].viewBox.baseVal;
      const [x, y] = (number < 0 ? ["scrollWidth", "scrollHeight"].map((name) => sight[name] / 2)
        : places[side][number].map((place) => ((place + 16) * sight.scrollWidth) / width));
      sight.scrollTo(x - sight.clientWidth / 2, y - sight.clientHeight / 2);
    };
    const mark = (number, from = -1) => {
      if (number === marked) return;
      marked = number;
      if (number >= 0) [0, 1].filter((side) => side !== from).forEach((side) => look(side, number));
      panel.hidden = number < 0;
      marks.forEach((group, side) => {
        group.replaceChildren();
        if (number < 0) return;
        const [x, y] = places[side][number];
        const copy = tiles[side][number].cloneNode(true);
        for (const name of ["href", "transform", "aria-label", "tabindex"]) copy.removeAttribute(name);
        const inside = drawing("g", { class: copy.getAttribute("class") }, ...copy.childNodes);
        inside.setAttribute("transform", "translate(-9 -9) scale(1.75)");
        group.setAttribute("transform", `translate(${x} ${y})`);
        group.append(inside, drawing("circle", { cx: 12, cy: 12, r: 34 }));
      });
      if (number < 0) return;
      const tile = tiles[0][number];
      const shown = tile.querySelector("svg")?.cloneNode(true);
      panel.firstElementChild.replaceWith(shown ?? element("div", { class: "absent" }, "no picture"));
      const name = nameOf(tile);
      panel.querySelector("bdi").textContent = name;
      panel.querySelector("span").textContent = tile.getAttribute("aria-label").slice(name.length + 2);
      const link = panel.querySelector("a");
      link.hidden = !tile.hasAttribute("href");
      link.textContent = "Its page";
      if (!link.hidden) link.href = tile.getAttribute("href");
    };
    const nameOf = (tile) => {
      const [, hash] = (tile.getAttribute("href") ?? "").split(/(?=#)/);
      return hash ? decoded(hash) : tile.getAttribute("aria-label");
    };

    // One stop of the tab key a plane; arrows lead to the nearest picture that way.
    const current = [0, 0];
    const stop = (side, number) => {
      tiles[side][current[side]].setAttribute("tabindex", "-1");
      current[side] = number;
      tiles[side][number].setAttribute("tabindex", "0");
    };
    const next = (side, from, key) => {
      const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
      let best = from;
      let least = Infinity;
      places[side].forEach(([x, y], number) => {
        if (isFaint(number)) return;
        const [toX, toY] = [x - places[side][from][0], y - places[side][from][1]];
        const along = toX * dx + toY * dy;
        const across = Math.abs(toX * dy) + Math.abs(toY * dx);
        if (along > 0 && along + 2 * across < least) [best, least] = [number, along + 2 * across];
      });
      return best;
    };
    planes.forEach((plane, side) => {
      for (const tile of tiles[side]) tile.setAttribute("tabindex", "-1");
      stop(side, 0);
      const number = (event) => tiles[side].indexOf(event.target.closest(".plane > a"));
      plane.addEventListener("pointerover", (event) => number(event) >= 0 && mark(number(event), side));
      plane.addEventListener("focusin", (event) => {
        if (number(event) < 0) return;
        stop(side, number(event));
        mark(number(event), side);
      });
      // A finger cannot hover: its first touch marks, the next on the same picture follows.
      let touched = -1;
      plane.addEventListener("click", (event) => {
        const at = number(event);
        if (event.pointerType !== "touch" || at < 0 || at === touched) return;
        touched = at;
        event.preventDefault();
        mark(at, side);
      });
      plane.addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
        if (event.key === "Escape") mark(-1);
        if (!event.key.startsWith("Arrow")) return;
        event.preventDefault();
        tiles[side][next(side, current[side], event.key)].focus();
      });
    });

    // What is chosen stands out; the rest fades.
    const form = the("#map-choice");
    const frames = (kind) => (kind ? Number(kind.dataset.kind) : -1);
    let isFaint = () => false;
    const apply = () => {
      const { kind, by, larger } = form.elements;
      const chosen = kind.value ? document.getElementById(kind.value) : null;
      const isGroup = kind.value.startsWith("group-");
      const number = frames(chosen);
      const faint = tiles[0].map(({ dataset }) => {
        if (!chosen) return false;
        return isGroup ? dataset.group !== String(number) : !dataset.kinds.split(" ").includes(String(number));
      });
      isFaint = (at) => faint[at];
      tiles[0].forEach(({ dataset }, at) => {
        const ofGroup = dataset.group === undefined ? "f24" : `f${dataset.group % 24}`;
        const frame = by?.value === "group" ? ofGroup : classFrames[at];
        for (const side of tiles) side[at].setAttribute("class", faint[at] ? `${frame} faint` : frame);
      });
      for (const plane of planes) plane.setAttribute("class", `plane${larger.value ? ` larger-${larger.value}` : ""}`);
      [0, 1].forEach((side) => look(side, marked));
      if (marked >= 0 && faint[marked]) mark(-1);
      for (const side of [0, 1]) {
        const first = faint.indexOf(false);
        if (faint[current[side]] && first >= 0) stop(side, first);
      }
    };
    form.hidden = false;
    form.addEventListener("input", () => {
      const { value } = form.elements.kind;
      history.replaceState(null, "", `#${value}`);
      apply();
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => {
      history.replaceState(null, "", "#");
      apply();
    }));

    // An address names a class, a group, or a picture.
    const go = () => {
      const kind = document.getElementById(location.hash.slice(1));
      if (kind?.dataset.kind) {
        form.elements.kind.value = kind.id;
        apply();
        the("#planes").scrollIntoView({ behavior: "instant" });
        return;
      }
      const name = decoded(location.hash);
      const at = name ? tiles[0].findIndex((tile) => nameOf(tile) === name) : -1;
      if (at < 0) return;
      the("#planes").scrollIntoView({ behavior: "instant" });
      tiles[0][at].focus({ preventScroll: true });
      mark(at);
    };
    addEventListener("hashchange", go);
    apply();
    go();
  }

  view();
  map();
})();
