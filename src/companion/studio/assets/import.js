// Import from Frigate: sends its configuration and the pictures of its classifications, then takes them over.

import { post, put } from "./api.js";
import { attempt, count, find, make } from "./say.js";

const PICTURE = /\.(png|jpe?g|webp)$/i;
/** The end of a path in Frigate's clips that tells model, class and file. */
const PLACE = /[^/]+\/(?:dataset\/[^/]+|train)\/[^/]+$/;

const place = (file) => file.webkitRelativePath.match(PLACE)?.[0];

async function take() {
  const files = [...find("#clips").files].filter((file) => PICTURE.test(file.name) && place(file));
  if (files.length === 0) {
    throw new Error("In this folder are no pictures of classifications. Choose Frigate's folder clips: it has a folder for each model, with dataset and train in it.");
  }
  const { id } = await post("/api/import", find("#config").files[0]);
  for (const [i, file] of files.entries()) {
    find("#bar").value = i / files.length;
    find("#left").textContent = `${i} of ${count(files.length)}`;
    await put(`/api/import/${id}/picture?${new URLSearchParams({ path: place(file) })}`, file);
  }
  return post(`/api/import/${id}`);
}

function show({ models, config, notes }) {
  const model = (name) => make("li", { className: "card" }, make("h2", {}, make("a", { href: `/models/${name}/examples` }, name)));
  find("#models").replaceChildren(...models.map(model));
  find("#notes").replaceChildren(...notes.map((note) => make("li", {}, note)));
  find("#device-config").textContent = config;
  find("#import").hidden = true;
  find("#done").hidden = false;
  find("#done").focus();
}

find("#import").addEventListener("submit", async (event) => {
  event.preventDefault();
  find("#working").hidden = false;
  find("#go").disabled = true;
  const imported = await attempt(take, find("#problem"));
  find("#working").hidden = true;
  find("#go").disabled = false;
  if (imported) show(imported);
});
