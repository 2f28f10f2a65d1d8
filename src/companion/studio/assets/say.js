// What a page says: notes that can be undone, questions before something goes, and small pieces of HTML.

/** An element with properties and children. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && name !== "list") element[name] = value;
    else if (value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

export const find = (selector) => document.querySelector(selector);

/** How long a note stays. */
const NOTE = 12000;

/** Says something; with `undo`, offers the way back. */
export function note(text, undo) {
  const note = make("div", { className: "toast" }, make("span", {}, text));
  const close = () => note.remove();
  if (undo) {
    const button = make("button", { type: "button", className: "button small" }, "Undo");
    button.addEventListener("click", async () => {
      close();
      await attempt(undo);
    });
    note.append(button);
  }
  const dismiss = make("button", { type: "button", className: "dismiss" }, "×");
  dismiss.setAttribute("aria-label", "Close this note");
  dismiss.addEventListener("click", close);
  note.append(dismiss);
  find("#toasts").append(note);
  setTimeout(close, NOTE);
}

/** Does it; what goes wrong is said in `place`, or as a note. */
export async function attempt(work, place) {
  if (place) place.textContent = "";
  try {
    return await work();
  } catch (error) {
    if (place) place.textContent = error.message;
    else note(error.message);
    return undefined;
  }
}

/** Asks before something goes. */
export function sure(question, detail, yes) {
  const dialog = make(
    "dialog",
    { className: "ask", "aria-labelledby": "ask-title" },
    make(
      "form",
      { method: "dialog" },
      make("h2", { id: "ask-title" }, question),
      make("p", {}, detail),
      make(
        "div",
        { className: "row end" },
        make("button", { className: "button quiet", value: "no" }, "Cancel"),
        make("button", { className: "button danger-solid", value: "yes" }, yes),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

/** Asks for a word. Gives `undefined` if there is none. */
export function word(question, value) {
  const input = make("input", { type: "text", value, autocomplete: "off" });
  input.setAttribute("aria-label", question);
  const dialog = make(
    "dialog",
    { className: "ask", "aria-labelledby": "ask-title" },
    make(
      "form",
      { method: "dialog" },
      make("h2", { id: "ask-title" }, question),
      input,
      make(
        "div",
        { className: "row end" },
        make("button", { className: "button quiet", value: "no", type: "button" }, "Cancel"),
        make("button", { className: "button primary", value: "yes" }, "Save"),
      ),
    ),
  );
  dialog.querySelector("[value=no]").addEventListener("click", () => dialog.close("no"));
  document.body.append(dialog);
  dialog.showModal();
  input.select();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes" ? input.value : undefined);
    });
  });
}

export const percent = (share) => `${Math.round(share * 100)} %`;

/** The time that has gone by, for people; nothing under a minute. */
function gone(time) {
  const seconds = Math.max(0, (Date.now() - new Date(time).getTime()) / 1000);
  if (seconds < 60) return undefined;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} days`;
}

/** How long ago. */
export const ago = (time) => (gone(time) ? `${gone(time)} ago` : "just now");

/** For how long already. */
export const since = (time) => `for ${gone(time) ?? "less than a minute"}`;

/** `n pictures`, with one of them as it should be. */
export const count = (n, one = "picture") => `${n} ${one}${n === 1 ? "" : "s"}`;
