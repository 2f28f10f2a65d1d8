// All models: what the devices say of them, now.

import { get, remove } from "./api.js";
import { attempt, find, make, since, sure } from "./say.js";

/** How often devices are asked. */
const PULSE = 5000;

const watchesOf = (devices, model) =>
  devices.flatMap((device) => (device.status?.watches ?? []).filter((watch) => watch.model === model).map((watch) => ({ watch, device })));

function line({ watch, device }) {
  const why = watch.reason ? ` (${watch.reason.replaceAll("_", " ")})` : "";
  const seq = watch.seq ? `, bundle ${watch.seq}` : "";
  return make(
    "span",
    { className: "watch" },
    make("strong", { className: watch.state === "unknown" ? "unknown" : "" }, watch.state + why),
    make("span", { className: "hint" }, ` ${since(watch.time)} · ${watch.camera} · ${device.status.device}${seq}`),
  );
}

function device(one) {
  const bad = one.why !== undefined;
  const text = bad ? one.why : `${one.status.device}: ajard ${one.status.version}`;
  return make("p", { className: bad ? "notice" : "hint" }, bad ? `${one.name}: ${text}` : text);
}

async function look() {
  try {
    const { devices } = await get("/api/status");
    for (const card of document.querySelectorAll(".card.model[data-model]")) {
      const now = card.querySelector(".now");
      const watches = watchesOf(devices, card.dataset.model);
      if (now && watches.length > 0) now.replaceChildren(...watches.map(line));
    }
    find("#devices").replaceChildren(...devices.map(device));
  } catch (error) {
    find("#devices").replaceChildren(make("p", { className: "notice", role: "alert" }, error.message));
  }
  setTimeout(look, PULSE);
}

find("#discard")?.addEventListener("click", async () => {
  if (!(await sure("Discard this draft?", "What was typed for it is gone then. No model is changed.", "Discard it"))) return;
  if (await attempt(() => remove("/api/draft"))) location.reload();
});
look();
