"use strict";
const get = id => document.getElementById(id);
const data = JSON.parse(get("data").textContent);
const map = get("map"), pen = map.getContext("2d"), tip = get("tip");
const index = decode("index", Uint32Array), points = decode("points", Uint16Array);
const neighbors = decode("neighbors", Uint16Array);
const probability = decode("probability", Float32Array), overProbability = decode("overProbability", Float32Array);
const groupOf = { cluster: decode("cluster", Uint16Array), overcluster: decode("overcluster", Uint16Array) };
if (data.arrays.label) groupOf.label = decode("label", Uint16Array);
const n = index.length, WORLD = 65535, NONE = -1;
// Distance between neighbouring images on the map, if images cover a fifth of it.
const SPACING = WORLD * Math.sqrt(0.2 / n);
const counts = { cluster: data.groups.cluster.count, overcluster: data.groups.overcluster.count, label: data.names.length };
const members = Object.fromEntries(Object.keys(groupOf).map(kind => [kind, membersOf(kind)]));
// The Okabe-Ito colours, which suit colour-blind readers, and two more.
const PALETTES = {
  light: ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#a89a00", "#7a4fc9", "#7f4f24", "#7d7d7d"],
  dark: ["#3d9fe0", "#e69f00", "#1fbf92", "#f0763a", "#e08fbe", "#8fd0f5", "#f0e442", "#a98bf0", "#c08a5a", "#a0a0a0"],
};
const FIRST_SHOWN = 32, MORE_SHOWN = 96, TILE_FROM = 15, TILE_MOST = 56;

const darkness = matchMedia("(prefers-color-scheme: dark)");
const selected = new Set(), named = new Map(), fingers = new Map(), visited = [];
const view = { x: WORLD / 2, y: WORLD / 2, scale: 0, fitted: 0, moved: false };
let by = "cluster", page = { type: "help" }, highlighted = null, hovered = NONE;
let colours = {}, theme = {}, order = null, sheet = null, drag = null, frame = 0, exported = true;

/* Data of the page */

function decode(name, Kind) {
  return new Kind(Uint8Array.from(atob(data.arrays[name]), character => character.charCodeAt(0)).buffer);
}

function membersOf(kind) {
  const found = Array.from({ length: counts[kind] }, () => []);
  groupOf[kind].forEach((group, i) => found[group].push(i));
  return found;
}

function className(kind, id) {
  return kind === "label" ? data.names[id] : data.groups[kind].names[id] ?? null;
}

function titleOf(kind, id) {
  if (kind === "label") return `Label ${data.names[id]}`;
  const name = className(kind, id);
  return `${kind === "cluster" ? "Cluster" : "Overcluster"} ${id}${name === null ? "" : `: ${name}`}`;
}

function shortOf(kind, id) {
  const name = className(kind, id);
  return kind === "label" ? name : name === null ? String(id) : `${id} (${name})`;
}

function imageName(i) { return `${data.split} image ${index[i]}`; }

function confidenceOf(kind, i) { return (kind === "overcluster" ? overProbability : probability)[i]; }

function percent(share) { return share > 0.9995 && share < 1 ? "over 99.9 %" : `${(100 * share).toFixed(1)} %`; }

function counted(count, what = "image") { return `${count.toLocaleString("en-GB")} ${what}${count === 1 ? "" : "s"}`; }

function similarTo(i) { return Array.from(neighbors.subarray(i * data.similar, (i + 1) * data.similar)); }

/* Counts of the groups of one kind among some images, largest first: [[id, count], …]. */
function tally(kind, images) {
  const found = new Map();
  for (const i of images) found.set(groupOf[kind][i], (found.get(groupOf[kind][i]) ?? 0) + 1);
  return [...found].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
}

/* Colours */

function mixed(colour, share) {
  const target = share > 0 ? 255 : 0;
  const parts = [1, 3, 5].map(at => parseInt(colour.slice(at, at + 2), 16));
  return `rgb(${parts.map(part => Math.round(part + (target - part) * Math.abs(share))).join(",")})`;
}

/* A cluster has the colour of its matched label, unless an earlier cluster has the same label. */
function clusterSlots() {
  const slots = data.groups.cluster.names.map(name => name === null ? NONE : data.names.indexOf(name));
  const free = Array.from({ length: counts.cluster + data.names.length }, (_, slot) => slot).filter(slot => !slots.includes(slot));
  return Array.from({ length: counts.cluster }, (_, id) => {
    const slot = slots[id] ?? NONE;
    return slot === NONE || slots.indexOf(slot) !== id ? free.shift() : slot;
  });
}

function chooseColours() {
  const palette = PALETTES[darkness.matches ? "dark" : "light"], [low, high] = darkness.matches ? [-0.3, 0.6] : [-0.4, 0.55];
  const base = slot => palette[slot % palette.length];
  const later = slot => mixed(base(slot), slot < palette.length ? 0 : [0.45, -0.4, 0.25, -0.2][Math.floor(slot / palette.length - 1) % 4]);
  const slots = clusterSlots(), siblings = slots.map(() => []);
  data.groups.overcluster.main.forEach((cluster, id) => siblings[cluster].push(id));
  const shade = ids => id => ids.length === 1 ? 0 : low + (high - low) * ids.indexOf(id) / (ids.length - 1);
  colours = {
    cluster: slots.map(later),
    overcluster: data.groups.overcluster.main.map((cluster, id) => mixed(base(slots[cluster]), shade(siblings[cluster])(id))),
    label: data.names.map((_, id) => later(id)),
  };
  const style = getComputedStyle(document.documentElement);
  theme = Object.fromEntries(["ink", "paper", "faint", "link"].map(name => [name, style.getPropertyValue(`--${name}`).trim()]));
  sheet = drawSprite();
}

/* The sprite as a canvas; grey images are inverted in dark mode, to light ink on dark paper. */
function drawSprite() {
  const picture = get("sprite"), canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  if (darkness.matches && !data.colors) {
    context.globalCompositeOperation = "difference";
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  return canvas;
}

/* The map, drawn in device pixels and at most once per frame */

function redraw() { frame ||= requestAnimationFrame(draw); }

function ratio() { return map.width / (map.clientWidth || 1); }

function place(i) {
  return [(points[2 * i] - view.x) * view.scale + map.clientWidth / 2, (points[2 * i + 1] - view.y) * view.scale + map.clientHeight / 2];
}

function tileSize() {
  const size = SPACING * view.scale;
  return size < TILE_FROM ? 0 : Math.min(size, TILE_MOST);
}

function dotSize() { return Math.max(2, Math.min(7, SPACING * view.scale * 0.7)); }

function draw() {
  frame = 0;
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.fillStyle = theme.paper;
  pen.fillRect(0, 0, map.width, map.height);
  const focus = highlighted ?? (page.type === "group" ? page : null), isHighlighted = highlightTest(focus);
  const paint = tileSize() ? drawTiles : drawDots;
  if (isHighlighted) paint(i => !isHighlighted(i), () => theme.faint, true);
  paint(isHighlighted ?? (() => true), group => colours[by][group]);
  if (!tileSize()) drawSelectedDots();
  if (!tileSize()) drawNames(focus);
  drawRings();
  if (drag?.lasso) drawLasso();
  if (map.matches(":focus-visible")) drawCross();
}

/* Returns a test for the highlighted images: a group, or the images listed in the panel; null for none. */
function highlightTest(focus) {
  if (focus) {
    const groups = groupOf[focus.kind];
    return i => groups[i] === focus.id;
  }
  if (page.type === "help") return null;
  const images = new Set(page.type === "image" ? [page.image, ...similarTo(page.image)] : page.images());
  return i => images.has(i);
}

function drawDots(isDrawn, colour, _pale, rim = 0) {
  const r = ratio(), k = view.scale * r, size = Math.max(1, Math.round(dotSize() * r)) + 2 * rim, half = size / 2, groups = groupOf[by];
  const left = map.width / 2 - view.x * k - half, top = map.height / 2 - view.y * k - half;
  let group = NONE;
  for (const i of order) {
    if (!isDrawn(i)) continue;
    const x = points[2 * i] * k + left, y = points[2 * i + 1] * k + top;
    if (x < -size || y < -size || x > map.width || y > map.height) continue;
    if (groups[i] !== group) pen.fillStyle = colour(group = groups[i]);
    pen.fillRect(Math.round(x), Math.round(y), size, size);
  }
}

function drawTiles(isDrawn, colour, pale) {
  const r = ratio(), k = view.scale * r, size = Math.round(tileSize() * r), edge = Math.max(1, Math.round(size / 14)), half = size / 2;
  const left = map.width / 2 - view.x * k - half, top = map.height / 2 - view.y * k - half;
  for (const i of order) {
    if (!isDrawn(i)) continue;
    const x = Math.round(points[2 * i] * k + left), y = Math.round(points[2 * i + 1] * k + top);
    if (x < -size || y < -size || x > map.width || y > map.height) continue;
    if (selected.has(i)) {
      pen.fillStyle = theme.link;
      pen.fillRect(x - 3 * edge, y - 3 * edge, size + 6 * edge, size + 6 * edge);
    }
    pen.fillStyle = colour(groupOf[by][i]);
    pen.fillRect(x - edge, y - edge, size + 2 * edge, size + 2 * edge);
    if (pale) pen.globalAlpha = 0.35;
    drawImage(pen, i, x, y, size);
    pen.globalAlpha = 1;
  }
}

function drawImage(context, i, x, y, size) {
  const side = data.size;
  context.drawImage(sheet, i % data.columns * side, Math.floor(i / data.columns) * side, side, side, x, y, size, size);
}

/* Place of a group's name: the member nearest to the median, since a group may have several parts. */
const middles = {};
function middleOf(kind, id) {
  middles[kind] ??= members[kind].map(images => {
    const median = axis => images.map(i => points[2 * i + axis]).sort((a, b) => a - b)[images.length >> 1];
    const x = median(0), y = median(1);
    const far = i => (points[2 * i] - x) ** 2 + (points[2 * i + 1] - y) ** 2;
    return images.reduce((best, i) => best === NONE || far(i) < far(best) ? i : best, NONE);
  });
  return middles[kind][id];
}

function drawNames(focus) {
  const r = ratio();
  pen.font = `600 ${(by === "overcluster" ? 12 : 15) * r}px system-ui, sans-serif`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.lineJoin = "round";
  pen.lineWidth = 3.5 * r;
  pen.strokeStyle = theme.paper;
  pen.fillStyle = theme.ink;
  members[by].forEach((images, id) => {
    if (!images.length || (focus && !(focus.kind === by && focus.id === id))) return;
    const [x, y] = place(middleOf(by, id)), text = mapName(id), half = pen.measureText(text).width / 2 + 4 * r;
    // Keeps the whole name on the map if the middle of the group is on it.
    const at = x < 0 || x > map.clientWidth ? x * r : Math.max(half, Math.min(map.width - half, x * r));
    pen.strokeText(text, at, y * r);
    pen.fillText(text, at, y * r);
  });
}

function mapName(id) {
  const name = by === "overcluster" ? String(id) : className(by, id) ?? String(id);
  return name.length > 16 ? `${name.slice(0, 15)}…` : name;
}

/* Selected dots have a rim. All rims are drawn first, so that a dense group keeps its colour. */
function drawSelectedDots() {
  if (!selected.size) return;
  const rim = Math.max(1, Math.round(ratio()));
  drawDots(i => selected.has(i), () => theme.ink, false, rim);
  drawDots(i => selected.has(i), group => colours[by][group]);
}

function drawRings() {
  const r = ratio(), half = (tileSize() || dotSize()) / 2 + 2;
  pen.strokeStyle = theme.ink;
  for (const [i, width] of [[page.image ?? NONE, 3.5], [hovered, 2.5]]) {
    if (i === NONE) continue;
    const [x, y] = place(i);
    pen.lineWidth = width * r;
    pen.strokeRect((x - half) * r, (y - half) * r, 2 * half * r, 2 * half * r);
  }
}

function drawLasso() {
  const r = ratio();
  pen.beginPath();
  for (const [x, y] of drag.lasso) pen.lineTo(x * r, y * r);
  pen.closePath();
  pen.globalAlpha = 0.15;
  pen.fillStyle = theme.link;
  pen.fill();
  pen.globalAlpha = 1;
  pen.lineWidth = 1.5 * r;
  pen.strokeStyle = theme.link;
  pen.stroke();
}

function drawCross() {
  const r = ratio(), x = map.width / 2, y = map.height / 2;
  pen.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    pen.moveTo(x + 6 * dx * r, y + 6 * dy * r);
    pen.lineTo(x + 14 * dx * r, y + 14 * dy * r);
  }
  pen.lineWidth = 2 * r;
  pen.strokeStyle = theme.ink;
  pen.stroke();
}

function resize() {
  const r = devicePixelRatio || 1;
  map.width = Math.max(1, Math.round(map.clientWidth * r));
  map.height = Math.max(1, Math.round(map.clientHeight * r));
  const fitted = Math.max(1, Math.min(map.clientWidth, map.clientHeight)) * 0.94 / WORLD;
  if (view.moved) view.fitted = fitted;
  else fit(fitted);
  // Resizing a canvas clears it.
  draw();
}

function fit(scale = view.fitted) {
  Object.assign(view, { x: WORLD / 2, y: WORLD / 2, scale, fitted: scale, moved: false });
  redraw();
}

function pan(dx, dy) {
  view.x = Math.max(0, Math.min(WORLD, view.x - dx / view.scale));
  view.y = Math.max(0, Math.min(WORLD, view.y - dy / view.scale));
  view.moved = true;
  redraw();
}

function zoom(factor, x = map.clientWidth / 2, y = map.clientHeight / 2) {
  const most = Math.max(view.fitted * 4, 4 * TILE_MOST / SPACING);
  const scale = Math.max(view.fitted / 2, Math.min(most, view.scale * factor));
  const dx = x - map.clientWidth / 2, dy = y - map.clientHeight / 2;
  view.x += dx / view.scale - dx / scale;
  view.y += dy / view.scale - dy / scale;
  view.scale = scale;
  pan(0, 0);
}

function goTo(i) {
  Object.assign(view, { x: points[2 * i], y: points[2 * i + 1], scale: Math.max(view.scale, 30 / SPACING), moved: true });
  redraw();
}

function nearest(x, y, radius) {
  const reach = Math.max(radius, tileSize() / 2);
  let best = NONE, least = reach * reach;
  for (let i = 0; i < n; i++) {
    const [px, py] = place(i), far = (px - x) ** 2 + (py - y) ** 2;
    if (far <= least) [best, least] = [i, far];
  }
  return best;
}

function inside([x, y], polygon) {
  let odd = false;
  polygon.forEach(([x1, y1], k) => {
    const [x2, y2] = polygon[(k + 1) % polygon.length];
    if ((y1 > y) !== (y2 > y) && x < x1 + (y - y1) / (y2 - y1) * (x2 - x1)) odd = !odd;
  });
  return odd;
}

/* Mouse, touch and keyboard on the map */

function tool() { return document.querySelector("[name=tool]:checked").value; }

function where(event) {
  const box = map.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function press(event) {
  if (event.button) return;
  map.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, where(event));
  const lasso = fingers.size === 1 && (tool() === "select" || event.shiftKey) ? [where(event)] : null;
  drag = { moved: fingers.size > 1, start: where(event), lasso };
}

function move(event) {
  const at = where(event), before = fingers.get(event.pointerId);
  if (!before) {
    if (event.pointerType !== "touch") hover(nearest(...at, 8), event);
    return;
  }
  fingers.set(event.pointerId, at);
  if (fingers.size === 2) pinch(event.pointerId, before, at);
  else if (drag.moved || Math.hypot(at[0] - drag.start[0], at[1] - drag.start[1]) > (event.pointerType === "touch" ? 8 : 3)) {
    drag.moved = true;
    hover(NONE);
    if (drag.lasso) drag.lasso.push(at);
    else pan(at[0] - before[0], at[1] - before[1]);
    redraw();
  }
}

function pinch(finger, before, at) {
  const [, other] = [...fingers].find(([id]) => id !== finger);
  const apart = from => Math.hypot(from[0] - other[0], from[1] - other[1]) || 1;
  pan((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
  zoom(apart(at) / apart(before), (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
}

function release(event) {
  if (!fingers.delete(event.pointerId)) return;
  const { moved, lasso } = drag ?? { moved: true };
  if (fingers.size) return;
  drag = null;
  if (event.type === "pointercancel") redraw();
  else if (moved && lasso) selectInLasso(lasso, event.altKey);
  else if (!moved) click(nearest(...where(event), event.pointerType === "touch" ? 16 : 8), event);
}

function selectInLasso(lasso, away) {
  const caught = Array.from({ length: n }, (_, i) => i).filter(i => inside(place(i), lasso));
  select(caught, !away);
}

function click(i, event) {
  if (i !== NONE && (tool() === "select" || event.ctrlKey || event.metaKey)) select([i], !selected.has(i));
  else if (i !== NONE) openPage({ type: "group", kind: by, id: groupOf[by][i], image: i });
  hover(i, event);
}

function wheel(event) {
  event.preventDefault();
  hover(NONE);
  zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), ...where(event));
}

function keyOnMap(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = 60, act = {
    "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), _: () => zoom(1 / 1.4), 0: () => fit(), Home: () => fit(),
    ArrowLeft: () => pan(step, 0), ArrowRight: () => pan(-step, 0), ArrowUp: () => pan(0, step), ArrowDown: () => pan(0, -step),
    Enter: () => click(middle(), {}), " ": () => { if (middle() !== NONE) select([middle()], !selected.has(middle())); },
  }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
  if (event.key !== "Enter") hover(middle(), atMiddle());
}

function middle() { return nearest(map.clientWidth / 2, map.clientHeight / 2, 30); }

function atMiddle() {
  const box = map.getBoundingClientRect();
  return { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 };
}

/* The image under the pointer */

function hover(i, event = null) {
  map.classList.toggle("over", i !== NONE && event?.currentTarget === map);
  if (i !== hovered) {
    hovered = i;
    redraw();
    if (i !== NONE) tip.replaceChildren(thumb(i, "large"), facts(i));
  }
  tip.hidden = i === NONE || event?.clientX === undefined;
  if (!tip.hidden) putTip(event.clientX, event.clientY);
}

function putTip(x, y) {
  const gap = 16, { offsetWidth: width, offsetHeight: height } = tip;
  const left = x + gap + width > innerWidth - 4 ? x - gap - width : x + gap;
  const top = y + gap + height > innerHeight - 4 ? y - gap - height : y + gap;
  tip.style.transform = `translate(${Math.max(4, Math.min(left, innerWidth - width - 4))}px, ${Math.max(4, top)}px)`;
}

function facts(i) {
  const cluster = `${titleOf("cluster", groupOf.cluster[i])}, ${percent(probability[i])}`;
  const lines = [data.paths ? data.paths[i] : imageName(i), cluster, titleOf("overcluster", groupOf.overcluster[i])];
  if (groupOf.label) lines.push(`label ${data.names[groupOf.label[i]]}`);
  return element("div", {}, lines.map(line => element("div", {}, [line])));
}

/* Elements of the panel */

function element(name, attributes, children = []) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function button(content, act, attributes = {}) {
  return element("button", { type: "button", onclick: act, ...attributes }, [content].flat());
}

function swatch(kind, id) {
  const made = element("i", { class: "swatch", "aria-hidden": "true" });
  made.style.background = colours[kind][id];
  return made;
}

function thumb(i, size = "") {
  const canvas = element("canvas", { class: `thumb ${size}`, width: data.size, height: data.size, "aria-hidden": "true" });
  drawImage(canvas.getContext("2d"), i, 0, 0, data.size);
  return canvas;
}

function heading(kind, id) {
  return element("h2", { tabindex: -1 }, [swatch(kind, id), ` ${titleOf(kind, id)}`]);
}

function card(i) {
  const row = (term, content) => [element("dt", {}, [term]), element("dd", {}, [content])];
  const to = kind => {
    const id = groupOf[kind][i];
    return button(shortOf(kind, id), () => openPage({ type: "group", kind, id, image: i }), { class: "link" });
  };
  return element("section", { "aria-label": "Image" }, [
    element("div", { class: "card" }, [thumb(i, "large"), element("div", {}, [element("dl", {}, [
      ...row(data.split, String(index[i])),
      ...(data.paths ? row("file", data.paths[i]) : []),
      ...row("cluster", to("cluster")), ...row("overcluster", to("overcluster")),
      ...row("confidence", percent(probability[i])),
      ...(groupOf.label ? row("label", to("label")) : []),
    ])])]),
    element("div", { class: "row" }, [
      ...(page.type === "image" ? [] : [button("Similar images", () => openPage({ type: "image", image: i }))]),
      button(toggleName(i), () => select([i], !selected.has(i)), { "data-toggles": i }),
      button("Show on map", () => goTo(i)),
    ]),
  ]);
}

/* A grid of images: one tab stop, with arrow keys inside. */
function grid(images, name) {
  const made = element("div", { class: "grid", role: "listbox", "aria-multiselectable": "true", "aria-label": name });
  const add = count => {
    const from = made.childElementCount;
    made.append(...images.slice(from, from + count).map((i, k) => option(i, from + k === 0)));
    more.hidden = made.childElementCount >= images.length;
    more.textContent = `Show more (${images.length.toLocaleString("en-GB")} in total)`;
  };
  const more = button("", () => add(MORE_SHOWN));
  made.addEventListener("keydown", event => keyOnGrid(event, made));
  made.addEventListener("click", event => clickOnGrid(event, made));
  made.addEventListener("pointermove", event => hoverOnGrid(event));
  made.addEventListener("pointerleave", () => hover(NONE));
  add(FIRST_SHOWN);
  return element("div", {}, [made, more]);
}

function option(i, first) {
  const name = [data.paths ? data.paths[i] : imageName(i), titleOf("cluster", groupOf.cluster[i]), percent(probability[i])];
  return element("div", {
    role: "option", tabindex: first ? 0 : -1, "data-image": i,
    "aria-selected": String(selected.has(i)), "aria-label": name.join(", "),
  }, [thumb(i)]);
}

function imageOf(item) { return Number(item.dataset.image); }

function hoverOnGrid(event) {
  const item = event.target.closest("[role=option]");
  if (event.pointerType !== "touch") hover(item ? imageOf(item) : NONE, event);
}

function step(made, item) {
  for (const other of made.children) other.tabIndex = other === item ? 0 : -1;
  item.focus();
  item.scrollIntoView({ block: "nearest" });
}

/* Selects from the last selected item of this grid to this one. */
function selectRange(made, item) {
  const items = [...made.children], from = items.indexOf(made.anchor), to = items.indexOf(item);
  if (from < 0) return selectOne(made, item);
  select(items.slice(Math.min(from, to), Math.max(from, to) + 1).map(imageOf), true);
}

function selectOne(made, item) {
  made.anchor = item;
  select([imageOf(item)], !selected.has(imageOf(item)));
}

function clickOnGrid(event, made) {
  const item = event.target.closest("[role=option]");
  if (!item) return;
  step(made, item);
  if (event.shiftKey) selectRange(made, item);
  else if (tool() === "select" || event.ctrlKey || event.metaKey) selectOne(made, item);
  else openPage({ type: "image", image: imageOf(item) });
}

function keyOnGrid(event, made) {
  const item = document.activeElement, items = [...made.children], at = items.indexOf(item);
  if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
  const across = getComputedStyle(made).gridTemplateColumns.split(" ").length;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across, Home: -at, End: items.length - 1 - at };
  const to = steps[event.key] === undefined ? undefined : at + steps[event.key];
  if (to === undefined && ![" ", "Enter"].includes(event.key)) return;
  event.preventDefault();
  if (event.key === "Enter") openPage({ type: "image", image: imageOf(item) });
  else if (event.key === " ") (event.shiftKey ? selectRange : selectOne)(made, item);
  else if (items[to]) {
    if (event.shiftKey && !items.includes(made.anchor)) made.anchor = item;
    step(made, items[to]);
    if (event.shiftKey) selectRange(made, items[to]);
  }
}

/* Links to groups, each with its most confident member: rows of [id, note]. */
function groupList(kind, rows, name) {
  return element("div", { class: "groups", role: "group", "aria-label": name }, rows.map(([id, note]) => button([
    ...ranked(kind, id, true).slice(0, 1).map(i => thumb(i)),
    element("span", { class: "name" }, [swatch(kind, id), shortOf(kind, id)]),
    element("span", { class: "quiet" }, [note]),
  ], () => openPage({ type: "group", kind, id }), { "aria-label": `${titleOf(kind, id)}, ${note}`, title: titleOf(kind, id) })));
}

function ranked(kind, id, highestFirst) {
  const sign = highestFirst ? -1 : 1;
  return [...members[kind][id]].sort((a, b) => sign * (confidenceOf(kind, a) - confidenceOf(kind, b)) || a - b);
}

/* Pages of the panel */

function openPage(next, back = false) {
  const inPanel = get("detail").contains(document.activeElement);
  if (!back && page.type !== "help") visited.push(page);
  if (next.type === "help") visited.length = 0;
  page = next;
  highlighted = null;
  hover(NONE);
  renderPage();
  if (inPanel) get("detail").querySelector("h2").focus();
  get("detail").scrollTop = 0;
}

function renderPage() {
  const pages = { help: helpPage, group: groupPage, image: imagePage, list: listPage };
  get("detail").replaceChildren(...navigation(), ...pages[page.type]());
  for (const chip of document.querySelectorAll(".chip")) {
    const isOpen = page.type === "group" && page.kind === by && page.id === Number(chip.value);
    chip.setAttribute("aria-pressed", String(isOpen));
  }
  redraw();
}

function navigation() {
  if (page.type === "help") return [];
  const back = visited.length ? [button("← Back", () => openPage(visited.pop(), true))] : [];
  return [element("div", { class: "row" }, [...back, button("Close", () => openPage({ type: "help" }))])];
}

function helpPage() { return [get("help").content.cloneNode(true)]; }

function groupPage() {
  const { kind, id, image } = page, images = members[kind][id];
  const found = [counted(images.length), `, ${percent(images.length / n)} of all`, composition(kind, images)];
  announce(`${titleOf(kind, id)}, ${counted(images.length)}`);
  return [
    ...(image === undefined ? [] : [card(image)]),
    heading(kind, id),
    element("p", {}, found),
    ...(images.length ? [selectAll(images, true), memberPart(kind, id), ...relatives(kind, id, images)] : []),
  ];
}

function composition(kind, images) {
  const other = kind === "label" ? "cluster" : "label";
  if (!groupOf[other] || !images.length) return "";
  const found = tally(other, images), first = found.slice(0, 4);
  const named = first.map(([id, count]) => `${shortOf(other, id)} × ${count.toLocaleString("en-GB")}`);
  return ` · ${other}s ${named.join(", ")}${found.length > first.length ? ", …" : ""}`;
}

function selectAll(images, both = false) {
  const all = button(`Select all ${images.length.toLocaleString("en-GB")}`, () => select(images, true));
  const none = both ? [button("Deselect all", () => select(images, false))] : [];
  return element("div", { class: "row" }, images.length ? [all, ...none] : []);
}

function memberPart(kind, id) {
  const row = element("div", {});
  const order = highestFirst => `${highestFirst ? "highest" : "lowest"} first`;
  const fill = highestFirst => row.replaceChildren(grid(ranked(kind, id, highestFirst), `Members by confidence, ${order(highestFirst)}`));
  const choice = highestFirst => {
    const radio = element("input", { type: "radio", name: "order", checked: highestFirst, onchange: () => fill(highestFirst) });
    return element("label", {}, [radio, order(highestFirst)]);
  };
  fill(true);
  const choices = [element("legend", {}, ["Confidence"]), choice(true), choice(false)];
  return element("section", { "aria-label": "Members" }, [element("fieldset", { class: "switch" }, choices), row]);
}

/* Groups of the other head that share images with a group, and the overclusters with the nearest centroids. */
function relatives(kind, id, images) {
  const near = (data.groups[kind]?.near[id] ?? []).map(([group, far]) => [group, far.toPrecision(2)]);
  const shared = other => other === kind ? [] : tally(other, images).map(([group, count]) => [group, counted(count)]);
  const parts = [
    ["Overclusters of these images", "overcluster", shared("overcluster")],
    ["Clusters of these images", "cluster", shared("cluster")],
    [`Nearest overclusters${kind === "cluster" ? " of other clusters" : ""}, with distance`, "overcluster", near],
  ];
  const filled = parts.filter(([, , rows]) => rows.length);
  return filled.flatMap(([title, other, rows]) => [element("h3", {}, [title]), groupList(other, rows, title)]);
}

function imagePage() {
  const found = similarTo(page.image);
  announce(`${imageName(page.image)}, ${counted(found.length, "similar image")}`);
  return [element("h2", { tabindex: -1 }, [`Images similar to ${imageName(page.image)}`]), card(page.image),
    element("p", { class: "quiet" }, ["Nearest neighbours in the feature space of the network, nearest first."]),
    grid(found, "Similar images"), selectAll(found)];
}

function listPage() {
  const images = page.images();
  announce(`${page.title}, ${counted(images.length)}`);
  return [element("h2", { tabindex: -1 }, [page.title]), element("p", {}, [counted(images.length)]), grid(images, page.title)];
}

function fillLegend() {
  const ids = members[by].map((_, id) => id).filter(id => members[by][id].length);
  const main = data.groups.overcluster.main;
  if (by === "overcluster") ids.sort((a, b) => main[a] - main[b] || a - b);
  const known = by !== "label" && ids.some(id => className(by, id) !== null);
  const lead = element("span", { class: "lead quiet" }, [known ? `${by} (label)` : by]);
  get("legend").replaceChildren(lead, ...ids.map(id => chip(by, id)));
}

/* Hovering over an entry of the legend highlights its group on the map. */
function chip(kind, id) {
  const highlight = group => () => {
    highlighted = group;
    redraw();
  };
  return button([swatch(kind, id), element("span", {}, [shortOf(kind, id)])], () => openPage({ type: "group", kind, id }), {
    class: "chip", value: id, onpointerenter: highlight({ kind, id }), onpointerleave: highlight(null),
    "aria-pressed": "false", "aria-label": `${titleOf(kind, id)}, ${counted(members[kind][id].length)}`,
  });
}

function colourBy(kind) {
  by = kind;
  order = Uint16Array.from(members[by].flat());
  fillLegend();
  renderPage();
}

/* Selection, named groups, export */

function announce(text) { get("announcement").textContent = text; }

function select(images, add) {
  for (const i of images) selected[add ? "add" : "delete"](i);
  for (const item of document.querySelectorAll("[role=option]")) item.setAttribute("aria-selected", String(selected.has(imageOf(item))));
  for (const item of document.querySelectorAll("[data-toggles]")) item.textContent = toggleName(Number(item.dataset.toggles));
  get("count").textContent = selected.size ? `${counted(selected.size)} selected` : "No images selected";
  get("tray").classList.toggle("idle", !selected.size);
  for (const id of ["show-selected", "clear", "keep"]) get(id).disabled = !selected.size;
  redraw();
}

function toggleName(i) { return selected.has(i) ? "Deselect" : "Select"; }

function inOrder(images) { return [...images].sort((a, b) => a - b); }

function keepGroup() {
  const name = get("name").value.trim();
  if (!name || !selected.size) return announce("Enter a name for the group first");
  named.set(name, new Set([...(named.get(name) ?? []), ...selected]));
  const count = named.get(name).size;
  exported = false;
  select([...selected], false);
  get("name").value = "";
  showNamed();
  announce(`Group ${name}, ${counted(count)}`);
}

function showNamed() {
  get("named").replaceChildren(...[...named].map(([name, images]) => {
    const list = { type: "list", title: `Group ${name}`, images: () => inOrder(images) };
    return element("li", {}, [
      element("span", {}, [`${name}: ${counted(images.size)}`]),
      button("Show", () => openPage(list), { "aria-label": `Show group ${name}` }),
      button("Remove", () => removeGroup(name), { "aria-label": `Remove group ${name}` }),
    ]);
  }));
  get("export").hidden = !named.size;
}

function removeGroup(name) {
  named.delete(name);
  showNamed();
  announce(`Group ${name} removed`);
  get("name").focus();
}

/* A cell that begins like a formula gets an apostrophe; otherwise a spreadsheet would evaluate it. */
function cell(value) {
  const runs = typeof value === "string" && /^'*[=+\-@\t\r]./s.test(value) && !/^[+-]?[0-9.]+$/.test(value);
  const text = runs ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csv() {
  const columns = {
    split: () => data.split, index: i => index[i], ...(data.paths && { path: i => data.paths[i] }), group: (_, name) => name,
    cluster: i => groupOf.cluster[i], overcluster: i => groupOf.overcluster[i], probability: i => Number(probability[i].toPrecision(6)),
    ...(groupOf.label && { label: i => data.names[groupOf.label[i]] }),
  };
  const rows = [...named].flatMap(([name, images]) => inOrder(images).map(i => Object.values(columns).map(value => cell(value(i, name)))));
  return [Object.keys(columns), ...rows].map(row => `${row.join(",")}\n`).join("");
}

function exportCsv() {
  const address = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  element("a", { href: address, download: "groups.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
  exported = true;
  announce(`${counted(named.size, "group")} exported`);
}

function findImage() {
  const query = get("query").value.trim();
  let i = /^\d+$/.test(query) ? index.indexOf(Number(query)) : NONE;
  if (i < 0 && data.paths && query) i = data.paths.findIndex(path => path.includes(query));
  get("query").setCustomValidity(i < 0 ? "No such image on this page." : "");
  if (i < 0) return get("query").reportValidity();
  openPage({ type: "image", image: i });
  goTo(i);
}

function closeOrReset() {
  if (drag?.lasso) drag.lasso = null;
  else if (!tip.hidden) hover(NONE);
  else if (page.type !== "help") openPage({ type: "help" });
  else fit();
  redraw();
}

function listen() {
  const on = (id, type, act, options) => get(id).addEventListener(type, act, options);
  on("map", "pointerdown", press);
  on("map", "pointermove", move);
  on("map", "pointerup", release);
  on("map", "pointercancel", release);
  on("map", "pointerleave", event => { if (event.pointerType === "mouse") hover(NONE); });
  on("map", "wheel", wheel, { passive: false });
  on("map", "keydown", keyOnMap);
  on("map", "focus", redraw);
  on("map", "blur", () => hover(NONE));
  on("zoom-in", "click", () => zoom(1.6));
  on("zoom-out", "click", () => zoom(1 / 1.6));
  on("zoom-fit", "click", () => fit());
  on("colour", "change", event => colourBy(event.target.value));
  on("tool", "change", () => map.classList.toggle("select", tool() === "select"));
  on("find", "submit", event => { event.preventDefault(); findImage(); });
  on("query", "input", () => get("query").setCustomValidity(""));
  on("naming", "submit", event => { event.preventDefault(); keepGroup(); });
  on("show-selected", "click", () => openPage({ type: "list", title: "Selected images", images: () => inOrder(selected) }));
  on("clear", "click", () => { select([...selected], false); get("name").focus(); });
  on("export", "click", exportCsv);
  document.addEventListener("keydown", event => { if (event.key === "Escape" && !event.target.matches("[type=text]")) closeOrReset(); });
  document.addEventListener("scroll", () => hover(NONE), { passive: true, capture: true });
  addEventListener("beforeunload", event => { if (!exported && named.size) event.preventDefault(); });
  darkness.addEventListener("change", () => { chooseColours(); colourBy(by); });
  new ResizeObserver(resize).observe(map);
}

get("sprite").decode().then(() => {
  chooseColours();
  listen();
  colourBy(by);
  resize();
});
