// One model: training again, signing, deployment, the way back, and trying it.

import { get, model, page, post, put, remove } from "./api.js";
import { follow } from "./job.js";
import { attempt, count, find, make, note, percent, since, sure } from "./say.js";

const to = model(page.model);
const PULSE = 5000;
const TRY = 2000;
/** Looks that tell something, and the share of them in which it may be unsure. */
const ENOUGH = 20;
const USUAL = 0.1;
let signed = page.signed;

async function train() {
  find("#outcome").hidden = true;
  const started = await attempt(() => post(to("/train")), find("#problem"));
  const result = started && (await attempt(() => follow(to), find("#problem")));
  if (result) location.assign(`/models/${page.model}?trained=${result.version}`);
}

/** Says what a training came to, after the page has come anew. */
function outcome({ version, counts, comparison }) {
  const trained = new URLSearchParams(location.search).get("trained");
  history.replaceState(null, "", location.pathname);
  if (trained !== version) return;
  const box = find("#outcome");
  box.hidden = false;
  box.classList.toggle("good", counts);
  const text = counts
    ? "Trained. Try it below, then sign it and bring it to a device."
    : "The model before stays: nothing shows that the new one is as good. It is among the versions below, if you want it all the same.";
  box.replaceChildren(make("p", {}, text));
  if (comparison) box.append(make("p", {}, `${comparison[0].toUpperCase()}${comparison.slice(1)}.`));
}

function generation(device) {
  const known = device.models?.[page.model];
  if (!known) return "not installed";
  if (known.trial) return `on trial, ${count(known.trial.attempts_left, "start")} left`;
  return known.active ? "active" : "none is active";
}

/** How often it was unsure lately: a scene that drifts away from the examples shows in that first. */
function drift(attempts) {
  const unsure = attempts.filter((one) => !(one.state in one.probabilities)).length;
  const few = attempts.length < ENOUGH;
  const drifting = !few && unsure > attempts.length * USUAL;
  const words = few
    ? "Too few looks yet to tell whether it drifts"
    : `${drifting ? "Drifting" : "No drift"}: unsure in ${unsure} of the last ${attempts.length} looks`;
  const light = make("span", { className: `light ${few ? "" : drifting ? "warn" : "good"}` });
  light.setAttribute("aria-hidden", "true");
  const help = make("a", { href: `/models/${page.model}/recent` }, "Label some of them");
  return make("p", { className: "hint drift" }, light, words, ...(drifting ? [". ", help, " and train again."] : []));
}

function watchLine(device, watch, attempts) {
  const own = attempts.filter((one) => one.device === device.index && one.camera === watch.camera);
  const why = watch.reason ? ` (${watch.reason.replaceAll("_", " ")})` : "";
  const seq = watch.seq ? `, bundle ${watch.seq}` : "";
  return make(
    "div",
    { className: "watch" },
    make("strong", { className: `state ${watch.state === "unknown" ? "unknown" : ""}` }, watch.state + why),
    make("p", { className: "hint" }, `${since(watch.time)} on ${watch.camera} of ${device.status.device}${seq}`),
    drift(own),
  );
}

function deviceRow(device) {
  if (device.why) return make("p", { className: "notice" }, `${device.name}: ${device.why}`);
  const bring = make("button", { type: "button", className: "button primary install" }, "Install");
  bring.disabled = !signed;
  bring.dataset.device = device.index;
  bring.addEventListener("click", () => deploy(device, page.version));
  const back = make("button", { type: "button", className: "button quiet back" }, "Go back");
  back.hidden = !device.models?.[page.model];
  back.addEventListener("click", () => rollBack(device));
  const words = make("div", {}, make("strong", {}, device.status.device), make("p", { className: "hint" }, generation(device)));
  return make("div", { className: "device-row" }, words, make("div", { className: "row" }, back, bring));
}

async function look() {
  const asked = await attempt(() => get("/api/status"), find("#now-problem"));
  if (asked && find("#now")) {
    // What devices do not say is said above.
    const { attempts } = await get(to("/recent")).catch(() => ({ attempts: [] }));
    const watches = (device) => (device.status?.watches ?? []).filter((watch) => watch.model === page.model);
    const lines = asked.devices.flatMap((device) => watches(device).map((watch) => watchLine(device, watch, attempts)));
    const nobody = make("p", { className: "hint" }, "No device watches with this model yet.");
    find("#now").replaceChildren(...(lines.length > 0 ? lines : [nobody]));
    const rows = asked.devices.map(deviceRow);
    const fresh = rows.map((row) => row.textContent).join() + signed;
    // Only where something changed, so that a button under the pointer stays.
    if (rows.length > 0 && find("#devices").dataset.shown !== fresh) {
      find("#devices").replaceChildren(...rows);
      find("#devices").dataset.shown = fresh;
    }
  }
}

async function beat() {
  if (!document.hidden) await look();
  setTimeout(beat, PULSE);
}

/** Installs a version; one that the device went back from only if the user wants it once more. */
async function install(device, version, again) {
  try {
    return await post(to("/deploy"), { device: device.index, version, again });
  } catch (error) {
    if (error.code !== "W64" || again) throw error;
    const detail = `${device.status.device} went back from this version. It runs on trial again.`;
    return (await sure("Install it once more?", detail, "Install it")) && install(device, version, true);
  }
}

async function deploy(device, version, again = false) {
  const done = await attempt(() => install(device, version, again), find("#deploy-problem"));
  if (!done) return;
  find("#outcome").hidden = true;
  note(`Installed on ${device.status.device}: ${done.outcome === "already" ? "it was there already" : "it runs on trial"}.`);
  await look();
}

async function rollBack(device) {
  const detail = "The device goes on with the model it had before. You can install this one again.";
  if (!(await sure(`Go back on ${device.status.device}?`, detail, "Go back"))) return;
  const done = await attempt(() => post(to("/rollback"), { device: device.index }), find("#deploy-problem"));
  if (done) note(`${device.status.device} went back.`, done.version && (() => deploy(device, done.version, true)));
  await look();
}

async function sign(event) {
  event.preventDefault();
  const password = find("#key-password")?.value ?? "";
  const done = await attempt(async () => {
    if (page.key === "missing") await post("/api/key", { password });
    page.key = password ? "locked" : "open";
    return post(to("/sign"), { version: page.version, password });
  }, find("#deploy-problem"));
  if (!done) return;
  signed = true;
  find("#sign").hidden = true;
  find("#signed").hidden = false;
  find(".todo-list li").classList.add("done");
  await look();
}

function bars({ probabilities, state }) {
  const rows = Object.entries(probabilities).sort((a, b) => b[1] - a[1]);
  return rows.map(([name, share]) => {
    const meter = make("meter", { min: 0, max: 1, value: share });
    meter.setAttribute("aria-label", name);
    return make("li", { className: name === state ? "most" : "" }, make("span", {}, name), meter, make("span", {}, percent(share)));
  });
}

async function tryIt() {
  const camera = find("#try-camera")?.value ?? page.cameras[0];
  const answer = await attempt(() => get(to(`/try/${camera}`)), find("#try-problem"));
  if (!answer) return;
  find("#tried").src = answer.picture;
  const why = answer.said.reason ? ` (${answer.said.reason.replaceAll("_", " ")})` : "";
  find("#said-state").textContent = answer.said.state + why;
  find("#bars").replaceChildren(...bars(answer.said));
  find("#said").hidden = false;
}

async function keepTrying() {
  while (find("#keep-trying").checked) {
    await tryIt();
    await new Promise((resolve) => setTimeout(resolve, TRY));
  }
}

find("#train").addEventListener("click", train);
find("#sign")?.addEventListener("submit", sign);
// With another key, or after a version that was signed later.
find("#sign-again")?.addEventListener("click", () => {
  find("#sign").hidden = false;
});
find("#try")?.addEventListener("click", tryIt);
find("#keep-trying")?.addEventListener("change", keepTrying);
for (const button of document.querySelectorAll(".choose")) {
  button.addEventListener("click", async () => {
    const done = await attempt(() => put(to("/version"), { version: button.dataset.version }));
    if (done) location.reload();
  });
}
find("#remove").addEventListener("click", async () => {
  const detail = "Its pictures, labels and versions go to the trash of the workspace. Devices go on with what they have.";
  if (!(await sure("Delete this model?", detail, "Delete"))) return;
  const gone = await attempt(() => remove(to("")), find("#problem"));
  if (!gone) return;
  document.querySelector(".columns")?.remove();
  find("#train").disabled = true;
  find("#remove").disabled = true;
  note("The model is in the trash.", async () => location.assign((await post("/api/undo", gone)).next));
});

const job = await get(to("/progress"));
if (job.kind === "train" && job.phase === "done") outcome(job.result);
if (job.phase === "running") {
  const end = await attempt(() => follow(to), find("#problem"));
  if (end) location.reload();
}
beat();
