// Dataset: what the model learns from. Filter, give another state, delete; states are renamed here.

import { get, model, page, post } from "./api.js";
import { Grid, picture, stateButtons, stateOf } from "./grid.js";
import { attempt, count, find, make, note, sure, word } from "./say.js";
import { uploads } from "./upload.js";

const to = model(page.model);
const filters = find("#filters");
let { states, pictures } = page.examples;

const source = (one) => `${to(`/pictures/${one.id}/crop.jpg`)}?crop=${one.crop}`;

const time = ({ time }) => (time ? [make("span", { className: "date" }, time.slice(0, 10)), time.slice(10)] : ["time unknown"]);

const grid = new Grid(find("#grid"), {
  tile: (item) => [
    picture(item.src, ""),
    make("span", { className: `tag ${item.state ? `state-${states.indexOf(item.state) % 8}` : "none"}` }, item.state ?? "none yet"),
    make("span", { className: "caption" }, ...time(item), item.light ? ` · ${item.light}` : ""),
    item.doubt ? make("span", { className: "badge warn" }, `looks like ${item.doubt}`) : make("span", { hidden: true }),
  ],
  chosen: (keys) => bar(keys),
  key(event, keys) {
    const state = stateOf(event, states);
    if (state) give(keys, state);
    else if (event.key === "Delete") drop(keys);
    else return;
    event.preventDefault();
  },
});

const doubt = (one) => (page.doubts[one.id] && page.doubts[one.id] !== one.state ? page.doubts[one.id] : undefined);

function shown() {
  const wanted = Object.fromEntries(new FormData(filters));
  return pictures.filter(
    (one) =>
      (!wanted.state || one.state === wanted.state || (wanted.state === "-" && !one.state)) &&
      (!wanted.day || one.time?.startsWith(wanted.day)) &&
      (!wanted.light || one.light === wanted.light) &&
      (!filters.doubtful.checked || doubt(one)),
  );
}

function show() {
  const items = shown().reverse();
  grid.show(items.map((one) => ({ key: one.id, state: one.state, time: one.time, light: one.light, doubt: doubt(one), src: source(one) })));
  find("#count").textContent = items.length === pictures.length ? count(items.length) : `${items.length} of ${count(pictures.length)}`;
}

function bar(keys) {
  const box = find("#states");
  box.hidden = keys.length === 0;
  const gone = make("button", { type: "button", className: "button quiet danger" }, "Delete");
  gone.addEventListener("click", () => drop([...grid.selected]));
  box.replaceChildren(
    make("span", { className: "hint" }, `${keys.length} selected`),
    ...stateButtons(states, (state) => give([...grid.selected], state)),
    gone,
  );
}

async function give(ids, state) {
  const done = await attempt(() => post(to("/labels"), { ids, state }));
  if (!done) return;
  grid.clear();
  await load();
  note(`${count(ids.length)} became ${state}.`, async () => {
    await post(to("/relabel"), { before: done.before });
    await load();
  });
}

async function drop(ids) {
  if (ids.length > 1 && !(await sure(`Delete ${count(ids.length)}?`, "They go to the trash and can be brought back.", "Delete"))) return;
  const done = await attempt(() => post(to("/delete"), { ids }));
  if (!done) return;
  grid.clear();
  await load();
  note(`${count(ids.length)} deleted.`, async () => {
    await post(to("/undo"), { undo: done.undo });
    await load();
  });
}

function stateLine(state) {
  const n = pictures.filter((one) => one.state === state).length;
  const rename = make("button", { type: "button", className: "button quiet small" }, "Rename");
  rename.setAttribute("aria-label", `Rename ${state}`);
  rename.addEventListener("click", async () => {
    const name = await word(`New name of ${state}`, state);
    if (name && (await attempt(() => post(to("/states/rename"), { state, to: name }), find("#problem")))) await load();
  });
  const gone = make("button", { type: "button", className: "button quiet small danger" }, "Delete");
  gone.setAttribute("aria-label", `Delete ${state}`);
  gone.addEventListener("click", async () => {
    const detail = `Its ${count(n)} go to the trash with it. The pictures of other states are left alone.`;
    if (!(await sure(`Delete the state ${state}?`, detail, "Delete"))) return;
    const done = await attempt(() => post(to("/states/remove"), { state }), find("#problem"));
    if (!done) return;
    await load();
    note(`${state} is deleted.`, async () => {
      await post(to("/undo"), { undo: done.undo });
      await load();
    });
  });
  const tag = make("span", { className: `tag state-${states.indexOf(state) % 8}` }, state);
  return make("li", {}, tag, make("span", { className: "hint" }, count(n)), rename, gone);
}

function showStates() {
  find("#state-list").replaceChildren(...states.map(stateLine));
}

function days() {
  const known = [...new Set(pictures.map((one) => one.time?.slice(0, 10)).filter(Boolean))].sort().reverse();
  const { day } = filters.elements;
  const chosen = day.value;
  day.replaceChildren(make("option", { value: "" }, "any"), ...known.map((value) => make("option", { value }, value)));
  day.value = known.includes(chosen) ? chosen : "";
}

async function load() {
  ({ states, pictures } = await get(to("/pictures")));
  days();
  showStates();
  show();
}

filters.addEventListener("change", show);
find("#add-state").addEventListener("submit", async (event) => {
  event.preventDefault();
  const input = find("#new-state");
  if (await attempt(() => post(to("/states"), { state: input.value }), find("#problem"))) {
    input.value = "";
    await load();
  }
});
uploads(to, load);

days();
showStates();
show();
