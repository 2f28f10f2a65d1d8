// Recent: what devices saw lately. Filter it, give it states, put it away.

import { get, model, page, post } from "./api.js";
import { Grid, picture, stateButtons, stateOf } from "./grid.js";
import { ago, attempt, count, find, make, note, percent, word } from "./say.js";

const to = model(page.model);
const filters = find("#filters");
const PULSE = 5000;
let attempts = [];
let worth = { like: {}, adds_nothing: [] };
let judged = "";

const nothing = (one) => worth.adds_nothing.includes(one.key);
const source = (one) => to(`/recent/${one.device}/${one.key}/crop.jpg`);

/** What it said of each state, the most likely first. */
const shares = ({ probabilities }) =>
  Object.entries(probabilities)
    .sort((a, b) => b[1] - a[1])
    .map(([state, share]) => `${state} ${percent(share)}`)
    .join(", ");

const grid = new Grid(find("#grid"), {
  tile: (item) => [
    item.picture ? picture(item.src, "") : make("span", { className: "blank" }, "no picture"),
    make("span", { className: `tag ${item.label ? `state-${page.states.indexOf(item.label) % 8}` : ""}`, title: shares(item) }, item.label ? `✓ ${item.label}` : `${item.state} ${percent(item.probability)}`),
    make("span", { className: "caption" }, `${item.ago} · ${item.camera}`),
    make("span", { className: "caption" }, `${item.reason.replaceAll("_", " ")}, ${item.agreeing} of ${item.needed}${item.alike > 0 ? ` · +${item.alike} alike` : ""}`),
    make("span", { className: "caption", hidden: !item.older }, `older bundle ${item.seq}`),
    item.nothing ? make("span", { className: "badge" }, "adds nothing") : make("span", { hidden: true }),
  ],
  chosen: (keys) => bar(keys),
  key(event, keys) {
    const state = stateOf(event, page.states);
    if (state) give(keys, state);
    else if (event.key === "Delete") hide(keys);
    else return;
    event.preventDefault();
  },
});

function shown() {
  const wanted = Object.fromEntries(new FormData(filters));
  const useful = filters.useful.checked;
  return attempts.filter(
    (one) =>
      (!wanted.state || one.state === wanted.state) &&
      (!wanted.camera || one.camera === wanted.camera) &&
      (!wanted.reason || one.reason === wanted.reason) &&
      one.probability <= Number(wanted.most) &&
      // What is about to be given a state stays, whatever is found out of it meanwhile.
      (!useful || grid.holds(one.key) || (one.picture && !nothing(one) && !worth.like[one.key])),
  );
}

function options(name, values) {
  const select = filters.elements[name];
  const known = new Set([...select.options].map((option) => option.value));
  for (const value of new Set(values)) if (!known.has(value)) select.append(make("option", { value }, value.replaceAll("_", " ")));
}

function show() {
  options("state", attempts.map((one) => one.state));
  options("camera", attempts.map((one) => one.camera));
  options("reason", attempts.map((one) => one.reason));
  const alike = {};
  for (const leader of Object.values(worth.like)) alike[leader] = (alike[leader] ?? 0) + 1;
  const items = shown();
  const newest = attempts[0]?.seq;
  grid.show(
    items.map((one) => ({ ...one, src: source(one), ago: ago(one.time), older: one.seq !== newest, nothing: nothing(one), alike: alike[one.key] ?? 0 })),
  );
  const other = attempts.length - items.length;
  find("#count").textContent = `${count(items.length, "attempt")}${other > 0 ? `, ${other} more are filtered out` : ""}`;
}

function bar(keys) {
  const box = find("#states");
  box.hidden = keys.length === 0;
  const fresh = make("button", { type: "button", className: "button quiet" }, "New state");
  fresh.addEventListener("click", () => giveNew([...grid.selected]));
  const away = make("button", { type: "button", className: "button quiet" }, "Put away");
  away.addEventListener("click", () => hide([...grid.selected]));
  box.replaceChildren(
    make("span", { className: "hint" }, `${keys.length} selected`),
    ...stateButtons(page.states, (state) => give([...grid.selected], state)),
    fresh,
    away,
  );
}

/** The pictures show something that the model has no state for yet. */
async function giveNew(keys) {
  const state = (await word("What is the new state called?", ""))?.trim();
  if (!state) return;
  if (!(await attempt(() => post(to("/states"), { state }), find("#problem")))) return;
  page.states.push(state);
  await give(keys, state);
}

const chosen = (keys) => attempts.filter((one) => keys.includes(one.key));

async function give(keys, state) {
  const pictures = chosen(keys).filter((one) => one.picture).map((one) => [one.device, one.key]);
  if (pictures.length === 0) {
    find("#problem").textContent = "The device has kept no picture of these.";
    return;
  }
  const fresh = chosen(keys).filter((one) => !one.example).map((one) => one.key);
  const done = await attempt(() => post(to("/recent/label"), { pictures, state }), find("#problem"));
  if (done) grid.clear();
  await load();
  if (!done) return;
  note(`${count(pictures.length)} became ${state}. Train again when you are done.`, async () => {
    await post(to("/relabel"), { before: done.before });
    if (done.new.length > 0) await post(to("/delete"), { ids: done.new });
    await post(to("/recent/hide"), { keys: fresh, back: true });
    await load();
  });
}

async function hide(keys) {
  const done = await attempt(() => post(to("/recent/hide"), { keys }), find("#problem"));
  if (!done) return;
  grid.clear();
  await load();
  note(`${count(keys.length, "attempt")} put away.`, async () => {
    await post(to("/recent/hide"), { keys, back: true });
    await load();
  });
}

async function load() {
  try {
    const answer = await get(to("/recent"));
    attempts = answer.attempts;
    problems(answer.problems);
    show();
  } catch (error) {
    problems([error.message]);
  }
}

/** What keeps attempts from being here. Only where it has changed: an alert is read out. */
function problems(all) {
  const box = find("#problems");
  if (box.textContent === all.join("")) return;
  box.replaceChildren(...all.map((why) => make("p", { className: "notice", role: "alert" }, why)));
}

/** What is worth a label takes a while to say, so it is asked only when there is something new. */
async function judge() {
  const open = attempts.filter((one) => one.picture && !one.example).map((one) => one.key).join();
  if (open === judged) return;
  const answer = await attempt(() => get(to("/recent/worth")), find("#worth-problem"));
  if (!answer) return;
  judged = open;
  worth = answer;
  show();
}

async function beat() {
  if (!document.hidden) {
    await load();
    await judge();
  }
  setTimeout(beat, PULSE);
}

filters.addEventListener("change", show);
beat();
