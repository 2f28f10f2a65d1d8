// Step 2: select the crop. A rectangle in fractions of the frame, drawn, dragged, resized or moved by keys.

import { later, model, page, put, remove } from "./api.js";
import { attempt, count, find, make, note } from "./say.js";

const to = model(page.model);
const stage = find("#stage");
const still = find("#still");
const rect = find("#rect");
const preview = find("#preview");
const next = find("#next");
const use = find("#use");
/** Where there is only one camera, it is the one. */
const only = page.cameras.length === 1;
/** Where a new rectangle is: in the middle. */
const MIDDLE = [0.3, 0.3, 0.7, 0.7];
/** Least side in fractions: smaller ones cannot be taken hold of. */
const LEAST = 0.01;
const STEP = 0.01;
const SMALL_STEP = 0.001;
/** Which edges a handle moves: left, top, right, bottom. */
const HANDLES = {
  "top left": [1, 1, 0, 0],
  top: [0, 1, 0, 0],
  "top right": [0, 1, 1, 0],
  right: [0, 0, 1, 0],
  "bottom right": [0, 0, 1, 1],
  bottom: [0, 0, 0, 1],
  "bottom left": [1, 0, 0, 1],
  left: [1, 0, 0, 0],
};

let camera;
let crop = MIDDLE;

const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
const rounded = () => crop.map((edge) => Math.round(edge * 1e5) / 1e5);

/** Moves the whole rectangle and keeps it inside. */
function moved([x1, y1, x2, y2], dx, dy) {
  const x = clamp(dx, -x1, 1 - x2);
  const y = clamp(dy, -y1, 1 - y2);
  return [x1 + x, y1 + y, x2 + x, y2 + y];
}

/** Moves some edges and keeps them in order. */
function resized([x1, y1, x2, y2], [left, top, right, bottom], dx, dy) {
  return [
    left ? clamp(x1 + dx, 0, x2 - LEAST) : x1,
    top ? clamp(y1 + dy, 0, y2 - LEAST) : y1,
    right ? clamp(x2 + dx, x1 + LEAST, 1) : x2,
    bottom ? clamp(y2 + dy, y1 + LEAST, 1) : y2,
  ];
}

/** A rectangle between two points. */
function between(ax, ay, bx, by) {
  const [x1, x2] = [ax, bx].map((x) => clamp(x, 0, 1)).sort((a, b) => a - b);
  const [y1, y2] = [ay, by].map((y) => clamp(y, 0, 1)).sort((a, b) => a - b);
  return [x1, y1, Math.max(x2, Math.min(x1 + LEAST, 1)), Math.max(y2, Math.min(y1 + LEAST, 1))];
}

const look = later(60, () => {
  preview.src = `${to(`/preview/${camera.name}`)}?crop=${rounded().join(",")}`;
});

const keep = later(300, async (name, edges) => {
  const frame_size = [still.naturalWidth, still.naturalHeight];
  return Boolean(await attempt(() => put(to(`/crops/${name}`), { crop: edges, frame_size }), find("#problem")));
});

/** Whether the picture of this camera is there. */
const seen = () => still.naturalWidth > 0 && !stage.classList.contains("loading");
const used = () => only || Boolean(camera.crop);

function place() {
  const [x1, y1, x2, y2] = crop;
  rect.style.left = `${x1 * 100}%`;
  rect.style.top = `${y1 * 100}%`;
  rect.style.width = `${(x2 - x1) * 100}%`;
  rect.style.height = `${(y2 - y1) * 100}%`;
  if (!still.naturalWidth) return;
  const width = Math.round((x2 - x1) * still.naturalWidth);
  const height = Math.round((y2 - y1) * still.naturalHeight);
  find("#size").textContent = `${width} × ${height} pixels of ${still.naturalWidth} × ${still.naturalHeight}`;
  const least = Math.min(width, height);
  find("#warning").textContent =
    least < page.least
      ? `Only ${least} pixels on its short side. Under ${page.least} there is little to see: draw it larger, or use the camera's sharper stream.`
      : "";
}

/** The rectangle is another one. */
function draw(edges) {
  const before = camera.crop?.crop;
  if (camera.cut_outs > 0 && before && !camera.told) {
    const one = camera;
    one.told = true;
    note(`${count(one.cut_outs, "picture")} of the crop before count no longer.`, async () => {
      await show(one);
      draw(before);
      one.told = false;
    });
  }
  crop = edges;
  camera.crop = { crop: rounded() };
  place();
  look();
  keep(camera.name, rounded());
  chips();
}

/** What is said of pictures that show a crop and nothing around it: they count for that one only. */
function cutOuts() {
  const said = camera.cut_outs > 0
    ? [`${count(camera.cut_outs, "picture")} of this camera show the crop and nothing around it. Drawn elsewhere, they wait until the rectangle is back.`]
    : [];
  for (const [edges, waiting] of camera.waiting) {
    const back = make("button", { type: "button", className: "button quiet small" }, "Use that crop");
    back.addEventListener("click", async () => {
      draw(edges);
      await keep.flush();
      location.reload();
    });
    said.push(`${count(waiting, "picture")} wait for a crop from before. `, back);
  }
  return said;
}

function chips() {
  const chip = (one) => {
    const button = make("button", { type: "button", className: "chip" }, one.name, one.crop ? " ✓" : "");
    button.setAttribute("aria-pressed", String(one === camera));
    button.title = one.from ?? "pictures in the workspace";
    button.addEventListener("click", () => show(one));
    return button;
  };
  const box = find("#cameras");
  const focused = [...box.children].indexOf(document.activeElement);
  box.replaceChildren(...page.cameras.map(chip));
  box.children[focused]?.focus();
  box.hidden = only;
  use.checked = used();
  use.disabled = !seen() && !camera.crop;
  use.closest("label").hidden = only;
  // What is not used has no rectangle: what is seen is what is used.
  rect.hidden = preview.hidden = find("#size").hidden = find("#warning").hidden = !used() || !seen();
  find("#cut-outs").replaceChildren(...cutOuts());
  find("#unused").hidden = used() || !seen();
  next.disabled = only ? !seen() && !camera.crop : !page.cameras.some((one) => one.crop);
}

async function show(one, fresh) {
  keep.flush();
  camera = one;
  crop = one.crop?.crop ?? one.before ?? MIDDLE;
  find("#problem").textContent = "";
  stage.classList.add("loading");
  still.src = `${to(`/stills/${one.name}`)}?fresh=${Boolean(fresh)}&at=${fresh ? Date.now() : ""}`;
  chips();
}

still.addEventListener("load", () => {
  stage.classList.remove("loading");
  stage.classList.add("there");
  place();
  look();
  chips();
});
still.addEventListener("error", async () => {
  stage.classList.remove("loading");
  chips();
  const answer = await fetch(still.src).catch(() => undefined);
  const why = (await answer?.json().catch(() => ({})))?.why;
  find("#problem").textContent = `No picture of ${camera.name}: ${why ?? "the studio does not answer"}`;
});

function at(event) {
  const box = still.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

stage.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || !seen()) return;
  event.preventDefault();
  stage.setPointerCapture(event.pointerId);
  const start = crop;
  const [x, y] = at(event);
  const edges = HANDLES[event.target.dataset.handle];
  const inside = event.target === rect;
  (edges ? event.target : rect).focus({ preventScroll: true });
  const drag = (move) => {
    const [mx, my] = at(move);
    if (edges) draw(resized(start, edges, mx - x, my - y));
    else if (inside) draw(moved(start, mx - x, my - y));
    else if (Math.hypot(mx - x, my - y) > 0.01) draw(between(x, y, mx, my));
  };
  stage.addEventListener("pointermove", drag);
  const end = () => stage.removeEventListener("pointermove", drag);
  stage.addEventListener("pointerup", end, { once: true });
  stage.addEventListener("pointercancel", end, { once: true });
});

rect.addEventListener("keydown", (event) => {
  const directions = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const direction = directions[event.key];
  if (!direction) return;
  event.preventDefault();
  const step = event.shiftKey ? SMALL_STEP : STEP;
  const [dx, dy] = direction.map((d) => d * step);
  const edges = HANDLES[event.target.dataset.handle];
  if (edges) draw(resized(crop, edges, dx, dy));
  else if (event.altKey) draw(resized(crop, [0, 0, 1, 1], dx, dy));
  else draw(moved(crop, dx, dy));
});

for (const name of Object.keys(HANDLES)) {
  const handle = make("button", { type: "button", className: `handle ${name}` });
  handle.dataset.handle = name;
  handle.setAttribute("aria-label", `Move the ${name} ${name.includes(" ") ? "corner" : "edge"} with the arrow keys`);
  rect.append(handle);
}

find("#fresh").addEventListener("click", () => show(camera, true));
use.addEventListener("change", async () => {
  if (use.checked) return draw(crop);
  const gone = camera;
  await keep.flush();
  if (await attempt(() => remove(to(`/crops/${gone.name}`)), find("#problem"))) {
    // Its pictures, their labels and the rectangle are there if it is used again.
    gone.before = gone.crop.crop;
    gone.crop = undefined;
  }
  chips();
});
next.addEventListener("click", async () => {
  next.disabled = true;
  if (seen() && used()) keep(camera.name, rounded());
  if ((await keep.flush()) === false) return chips();
  location.assign(`/models/${page.model}/examples`);
});
window.addEventListener("pagehide", () => keep.flush());

if (page.cameras.length > 0) show(page.cameras.find((one) => one.crop) ?? page.cameras[0]);
