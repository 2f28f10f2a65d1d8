// Step 1: name and define. What is typed is checked by the server, by the rules of the command line, and kept.

import { later, page, post, put } from "./api.js";
import { attempt, find, make } from "./say.js";

const form = find("#define");
const title = find("#title");
const name = find("#name");
const list = find("#states");
const next = find("#next");
const draft = page.draft;
/** Fields that were typed into or left: only they complain. */
const visited = new Set();
/** Until the name is typed by hand it follows the title. */
let follows = draft.name === "" || draft.name === slug(draft.title);
let newest = 0;
/** Names the fields: crypto.randomUUID is only there on this computer's own address, or with HTTPS. */
let fields = 0;
/** What the server said last. */
let problems = { states: [] };

function slug(text) {
  const plain = text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
  return plain.replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 64);
}

const inputs = () => [...list.querySelectorAll("input")];
const typed = () => ({ title: title.value, name: name.value, states: inputs().map((input) => input.value) });

function addState(value) {
  const number = inputs().length + 1;
  const id = `state-${++fields}`;
  const input = make("input", { type: "text", id, value, autocomplete: "off", placeholder: ["open", "closed"][number - 1] ?? "" });
  input.setAttribute("aria-label", `State ${number}`);
  input.setAttribute("aria-describedby", `${id}-problem`);
  const gone = make("button", { type: "button", className: "button quiet small" }, "Remove");
  gone.setAttribute("aria-label", `Remove state ${number}`);
  const problem = make("p", { className: "problem", id: `${id}-problem`, role: "alert" });
  const item = make("li", {}, make("div", { className: "row" }, input, gone), problem);
  gone.addEventListener("click", () => {
    item.remove();
    ask();
  });
  watch(input);
  list.append(item);
  return input;
}

function watch(field) {
  field.addEventListener("input", () => {
    visited.add(field);
    ask();
  });
  field.addEventListener("blur", () => {
    visited.add(field);
    if (!pressed) say();
  });
}

/** While a button is being pressed, nothing may push it away from under the pointer. */
let pressed = false;
document.addEventListener("pointerdown", () => (pressed = true), true);
for (const event of ["pointerup", "pointercancel"]) {
  document.addEventListener(event, () => {
    pressed = false;
    // After the click.
    setTimeout(say);
  });
}

const UNMADE = "The title has no letters a to z to make it of: type one, such as garage-door.";
/** Whether there is a title, and no name can be made of it. */
const unmade = () => name.value === "" && title.value.trim() !== "" && slug(title.value) === "";

function complain(field, place, problem) {
  // What a draft brought along complains as well.
  const shown = problem && (visited.has(field) || field.value !== "") ? problem : "";
  if (place.textContent !== shown) place.textContent = shown;
  field.setAttribute("aria-invalid", shown ? "true" : "false");
}

function say() {
  complain(title, find("#title-problem"), problems.title);
  if (unmade()) visited.add(name);
  complain(name, find("#name-problem"), unmade() ? UNMADE : problems.name);
  inputs().forEach((input, i) => complain(input, find(`#${input.id}-problem`), problems.states[i]));
  find("#states-problem").textContent = problems.all_states ?? "";
  next.disabled = [problems.title, problems.name, problems.all_states, ...problems.states].some(Boolean);
}

const ask = later(120, async () => {
  const number = ++newest;
  const answer = await attempt(() => put("/api/draft", typed()), find("#states-problem"));
  if (!answer || number !== newest) return;
  problems = answer;
  say();
});

title.value = draft.title;
name.value = draft.name;
draft.states.forEach(addState);
title.addEventListener("input", () => {
  if (follows) name.value = slug(title.value);
});
name.addEventListener("input", () => (follows = name.value === ""));
[title, name].forEach(watch);
find("#add").addEventListener("click", () => {
  addState("").focus();
  ask();
});
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  await ask.flush();
  if (next.disabled) return;
  next.disabled = true;
  const made = await attempt(() => post("/api/models", typed()), find("#name-problem"));
  if (made) location.assign(made.next);
});
window.addEventListener("pagehide", () => ask.flush());
ask();
