// Calls to the studio, and what a page was given to begin with.

/** What the server put into the page. */
export const page = JSON.parse(document.getElementById("main").dataset.page);

export class Refused extends Error {
  /** `code`: of a device's refusal. */
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

async function ask(method, path, body) {
  const options = { method, headers: {} };
  if (body instanceof Blob) {
    options.body = body;
  } else if (body !== undefined) {
    options.body = JSON.stringify(body);
    // What is kept while the page closes must arrive all the same.
    options.keepalive = method === "PUT";
    options.headers["Content-Type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Refused("The studio is not running any more. Start it again with: ajar studio");
  }
  const text = await answer.text();
  let value = {};
  try {
    value = JSON.parse(text);
  } catch {
    value = { why: text };
  }
  if (answer.ok) return value;
  if (answer.status === 413) throw new Refused("This file is too large: a picture may have at most 32 MB.");
  if (answer.status === 401) throw new Refused("The studio was started again. Open the address that it printed.");
  throw new Refused(value.why || answer.statusText, value.code);
}

export const get = (path) => ask("GET", path);
export const put = (path, body) => ask("PUT", path, body);
export const post = (path, body = {}) => ask("POST", path, body);
export const remove = (path) => ask("DELETE", path);

/** The calls of one model. */
export const model = (name) => (path) => `/api/models/${name}${path}`;

/** Waits until nothing has come for a while; then does the newest. `flush` does it now, and gives what came of the last. */
export function later(milliseconds, work) {
  let timer;
  let waiting;
  let last;
  const run = () => {
    clearTimeout(timer);
    if (waiting) last = work(...waiting);
    waiting = undefined;
    return last;
  };
  const soon = (...args) => {
    waiting = args;
    clearTimeout(timer);
    timer = setTimeout(run, milliseconds);
  };
  soon.flush = run;
  return soon;
}
