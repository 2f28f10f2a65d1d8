// Work that takes a while: how far it is, as the server tells it.

import { get } from "./api.js";
import { find } from "./say.js";

const STAGES = {
  "looking for pictures": "Looking for pictures",
  "looking at pictures": "Looking for the most different pictures",
  pictures: "Looking at the pictures",
  training: "Training",
};

/** The stages of a training, one after the other, as shares of the whole. */
const WHOLE = { pictures: [0, 0.7], training: [0.7, 1] };

function show(progress) {
  find("#stage-name").textContent = STAGES[progress.stage] ?? "One moment";
  const bar = find("#bar");
  const share = progress.length ? Math.min(progress.position / progress.length, 1) : 0;
  const [from, to] = WHOLE[progress.stage] ?? [0, 1];
  if (progress.length) bar.value = from + share * (to - from);
  else bar.removeAttribute("value");
  const left = progress.left > 1 && progress.position > 0 ? `, about ${progress.left} s left` : "";
  find("#left").textContent = progress.length ? `${progress.position} of ${progress.length}${left}` : " ";
}

/** Follows a job to its end. Gives its result, or throws what went wrong. */
export function follow(to) {
  const box = find("#working");
  box.hidden = false;
  const events = new EventSource(to("/events"));
  return new Promise((resolve, reject) => {
    const end = (then, value) => {
      events.close();
      box.hidden = true;
      then(value);
    };
    events.addEventListener("message", (event) => {
      const progress = JSON.parse(event.data);
      if (progress.phase === "running") show(progress);
      else if (progress.phase === "done") end(resolve, progress.result);
      else end(reject, new Error(progress.why ?? "The studio was started again; begin once more."));
    });
    // A network that was away for a moment is none: the browser connects again by itself. A studio that is gone says so.
    events.addEventListener("error", () => get(to("/progress")).catch((error) => end(reject, error)));
  });
}
