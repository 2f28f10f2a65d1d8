// Step 3: assign examples. State by state, or all at once; training begins by itself when every picture has a state.

import { get, model, page, post } from "./api.js";
import { Grid, picture, stateButtons, stateOf } from "./grid.js";
import { follow } from "./job.js";
import { attempt, count, find, make, note } from "./say.js";
import { uploads } from "./upload.js";

const to = model(page.model);
const WAY = `ajar-way-${page.model}`;
let states = [];
let pictures = [];
/** The state that is asked for, state by state. */
let asked = 0;
let byState = localStorage.getItem(WAY) !== "all";
let training = false;
/** Whether a tap skips. */
let skipping = false;

const waiting = () => pictures.filter((one) => !one.state);
const missing = () => states.filter((state) => !pictures.some((one) => one.state === state));
const ready = () => pictures.length > 0 && waiting().length === 0 && missing().length === 0;

const grid = new Grid(find("#grid"), {
  tile: (item) => [
    picture(item.src, ""),
    make("span", { className: `tag ${item.state ? `state-${states.indexOf(item.state) % 8}` : "none"}` }, item.state ?? "?"),
    make("span", { className: "sr" }, `Picture of ${item.time ?? "unknown time"}, ${item.state ?? "no state yet"}`),
  ],
  press(item) {
    if (!byState) return false;
    if (skipping) skip([item.key]);
    else give([item.key], item.state === states[asked] ? null : states[asked]);
    return true;
  },
  chosen: (keys) => {
    bar(keys.length);
  },
  key(event, keys) {
    const state = stateOf(event, states);
    if (state) give(keys, state);
    else if (event.key === "Delete" || event.key.toLowerCase() === "s") skip(keys);
    else return;
    event.preventDefault();
  },
});

const source = (one) => `${to(`/pictures/${one.id}/crop.jpg`)}?crop=${one.crop}`;

function show() {
  const shown = byState ? pictures.filter((one) => !one.state || one.state === states[asked]) : pictures;
  grid.show(shown.map((one) => ({ key: one.id, state: one.state, time: one.time, src: source(one) })));
  const left = waiting().length;
  const lacking = missing();
  find("#waiting").textContent = left > 0 ? `${count(left)} without a state` : "All pictures have a state";
  find("#waiting").classList.toggle("none-left", left === 0);
  find("#by-state").setAttribute("aria-pressed", String(byState));
  find("#all-at-once").setAttribute("aria-pressed", String(!byState));
  find("#question").replaceChildren(...question());
  if (left === 0 && lacking.length > 0 && pictures.length > 0) {
    find("#lacking").textContent = `No picture shows ${lacking.join(", ")} yet. Add one that does: training needs each state.`;
  } else if (pictures.length === 0) {
    find("#lacking").textContent = "There is no picture yet. Add some, or take one now.";
  } else {
    find("#lacking").textContent = "";
  }
  bar(grid.selected.size);
}

function question() {
  if (!byState) return ["Select pictures, then choose their state below or press its number. Shift selects a row."];
  if (skipping) return ["Tap every picture that is of no use: it is skipped."];
  return ["Tap every picture that shows ", make("strong", { className: `tag state-${asked % 8}` }, states[asked]), "."];
}

function bar(selected) {
  const box = find("#states");
  // Training begins by itself; after one that failed, and where nothing was changed, it is asked for.
  const again = make("button", { type: "button", className: "button primary" }, "Train");
  again.hidden = !ready();
  again.addEventListener("click", () => train());
  const skips = make("button", { type: "button", className: "button quiet" }, selected > 1 ? `Skip ${selected}` : "Skip");
  if (!byState) {
    skips.disabled = selected === 0;
    skips.addEventListener("click", () => skip([...grid.selected]));
    const buttons = stateButtons(states, (state) => give([...grid.selected], state));
    buttons.forEach((button) => (button.disabled = selected === 0));
    box.replaceChildren(...buttons, skips, again);
    return;
  }
  skips.setAttribute("aria-pressed", String(skipping));
  skips.addEventListener("click", () => {
    skipping = !skipping;
    show();
  });
  const last = asked === states.length - 1;
  const back = make("button", { type: "button", className: "button quiet" }, "Back");
  back.disabled = asked === 0;
  back.addEventListener("click", () => ask(asked - 1));
  const rest = waiting().length;
  const all = make("button", { type: "button", className: "button quiet" }, `The other ${rest} too`);
  all.hidden = rest === 0 || !last;
  all.addEventListener("click", () => give(waiting().map((one) => one.id), states[asked]));
  const next = make("button", { type: "button", className: "button primary" }, last ? "Show what is left" : `Next: ${states[asked + 1]}`);
  next.hidden = last && rest === 0;
  next.addEventListener("click", () => (last ? way(false) : ask(asked + 1)));
  box.replaceChildren(back, skips, all, next, again);
}

function ask(index) {
  asked = index;
  skipping = false;
  grid.clear();
  show();
  window.scrollTo({ top: 0 });
}

function way(states) {
  byState = states;
  skipping = false;
  localStorage.setItem(WAY, byState ? "states" : "all");
  grid.clear();
  show();
}

async function give(ids, state) {
  if (ids.length === 0 || training) return;
  const done = await attempt(() => post(to("/labels"), { ids, state }));
  if (!done) return;
  for (const one of pictures) if (ids.includes(one.id)) one.state = state ?? undefined;
  grid.clear();
  show();
  if (ready()) train();
}

async function skip(ids) {
  if (ids.length === 0 || training) return;
  const done = await attempt(() => post(to("/delete"), { ids }));
  if (!done) return;
  pictures = pictures.filter((one) => !ids.includes(one.id));
  grid.clear();
  show();
  note(`${count(ids.length)} skipped.`, async () => {
    await post(to("/undo"), { undo: done.undo });
    await load();
  });
  if (ready()) train();
}

async function load() {
  ({ states, pictures } = await get(to("/pictures")));
  show();
}

/** Does a job to its end, with the pictures out of the way meanwhile. What went wrong is said when they are back. */
async function work(job) {
  find("#assign").hidden = true;
  const result = await attempt(job, find("#problem"));
  if (!result) find("#assign").hidden = false;
  return result;
}

/** Begins it, unless it has begun. */
async function train({ begun } = {}) {
  if (training) return;
  training = true;
  const result = await work(async () => {
    if (!begun) await post(to("/train"));
    return follow(to);
  });
  training = false;
  if (result) location.assign(`/models/${page.model}?trained=${result.version}`);
}

async function collect({ begun } = {}) {
  const found = await work(async () => {
    if (!begun) await post(to("/collect"));
    return follow(to);
  });
  // Also after one that failed: it may have found some before.
  await attempt(load);
  find("#assign").hidden = false;
  if (!found) return;
  if (found.problems.length > 0) find("#problem").textContent = found.problems.join("\n");
  if (found.added === 0 && found.problems.length > 0) return;
  const broken = found.unreadable > 0 ? ` ${count(found.unreadable)} could not be read.` : "";
  note((found.added > 0 ? `${count(found.added)} added.` : "There is nothing new to be found.") + broken);
}

find("#by-state").addEventListener("click", () => way(true));
find("#all-at-once").addEventListener("click", () => way(false));
find("#more")?.addEventListener("click", () => collect());
for (const button of document.querySelectorAll(".take")) {
  button.addEventListener("click", async () => {
    const taken = await attempt(() => post(to(`/take/${button.dataset.camera}`)), find("#problem"));
    if (taken) await load();
  });
}
uploads(to, load);

({ states, pictures } = page.examples);
show();
const now = await get(to("/progress"));
if (now.phase === "running") await (now.kind === "train" ? train({ begun: true }) : collect({ begun: true }));
else if (now.phase !== "failed" && pictures.length === 0 && page.sourced) await collect();
else if (now.phase !== "failed" && ready() && !page.trained) await train();
else find("#assign").hidden = false;
if (now.phase === "failed") find("#problem").textContent = now.why;
