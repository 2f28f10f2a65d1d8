// A grid of pictures: selecting with click, shift and keys, and giving states with the keys 1 to 9.

import { make } from "./say.js";

/** Pictures that are put on the page at once; more follow when the end comes near. */
const PART = 120;

/**
 * `tile(item)` makes the inside of a tile. `chosen(keys)` hears of the selection, `key(event, keys)` of other keys.
 * `press(item)` takes a click instead of the selection, if it is given and says so.
 */
export class Grid {
  constructor(box, { tile, chosen = () => {}, key = () => {}, press = () => false }) {
    Object.assign(this, { box, tile, chosen, key, press });
    this.items = [];
    this.selected = new Set();
    /** The tile that Tab reaches, and from which Shift selects. */
    this.anchor = undefined;
    this.end = new IntersectionObserver((entries) => entries.some((e) => e.isIntersecting) && this.more(), {
      rootMargin: "1200px",
    });
    box.addEventListener("click", (event) => this.click(event));
    box.addEventListener("keydown", (event) => this.keydown(event));
  }

  /** Whether a key that is pressed now would be meant for this picture. */
  holds(key) {
    return this.selected.has(key) || this.focused() === key;
  }

  focused() {
    return document.activeElement?.parentElement === this.box ? document.activeElement.dataset.key : undefined;
  }

  /** Shows these. Tiles of the same key are kept, so nothing flickers and the focus stays on its picture. */
  show(items) {
    const wanted = Math.max(PART, this.box.children.length);
    const focused = this.focused();
    const key = focused ?? this.anchor;
    const before = this.place(key);
    const old = new Map([...this.box.children].map((tile) => [tile.dataset.key, tile]));
    this.items = items;
    const keys = new Set(items.map((item) => item.key));
    this.selected = new Set([...this.selected].filter((key) => keys.has(key)));
    this.box.replaceChildren(...items.slice(0, wanted).map((item) => this.update(old.get(item.key), item)));
    const now = this.place(key);
    // Where it is gone, the one in its place.
    const index = now >= 0 ? now : Math.max(0, Math.min(before, items.length - 1));
    if (focused !== undefined) this.focus(index, { preventScroll: true });
    else this.roam(index);
    this.watch();
    this.chosen([...this.selected]);
  }

  more() {
    const from = this.box.children.length;
    this.box.append(...this.items.slice(from, from + PART).map((item) => this.update(undefined, item)));
    this.watch();
  }

  watch() {
    this.end.disconnect();
    if (this.box.children.length < this.items.length) this.end.observe(this.box.lastElementChild);
  }

  update(tile, item) {
    const stamp = JSON.stringify(item);
    if (!tile) {
      tile = make("button", { type: "button", className: "tile", tabIndex: -1 });
      tile.dataset.key = item.key;
    }
    if (tile.dataset.stamp !== stamp) {
      const picture = tile.querySelector("img");
      const fresh = this.tile(item);
      // The picture itself stays where it is: loading it again would flicker.
      const kept = picture && fresh[0].getAttribute("src") === picture.getAttribute("src") ? picture : fresh[0];
      tile.replaceChildren(kept, ...fresh.slice(1));
      tile.dataset.stamp = stamp;
    }
    this.mark(tile);
    return tile;
  }

  mark(tile) {
    tile.setAttribute("aria-pressed", String(this.selected.has(tile.dataset.key)));
  }

  index(tile) {
    return [...this.box.children].indexOf(tile);
  }

  place(key) {
    return this.items.findIndex((item) => item.key === key);
  }

  /** One tile can be reached with Tab; arrows go on from there. */
  roam(index) {
    for (const tile of this.box.querySelectorAll('.tile[tabindex="0"]')) tile.tabIndex = -1;
    const tile = this.box.children[index] ?? this.box.firstElementChild;
    this.anchor = tile?.dataset.key;
    if (tile) tile.tabIndex = 0;
  }

  focus(index, options) {
    if (index >= this.box.children.length) this.more();
    const tile = this.box.children[index];
    if (!tile) return;
    this.roam(index);
    tile.focus(options);
  }

  toggle(index, on) {
    const tile = this.box.children[index];
    if (!tile) return;
    const { key } = tile.dataset;
    if (on) this.selected.add(key);
    else this.selected.delete(key);
    this.mark(tile);
  }

  click(event) {
    const tile = event.target.closest(".tile");
    if (!tile) return;
    const index = this.index(tile);
    const before = Math.max(0, this.place(this.anchor));
    const on = !this.selected.has(tile.dataset.key);
    this.roam(index);
    tile.focus();
    if (!event.shiftKey && this.press(this.items[index])) return;
    const [from, to] = event.shiftKey ? [before, index].sort((a, b) => a - b) : [index, index];
    for (let i = from; i <= to; i++) this.toggle(i, event.shiftKey || on);
    this.chosen([...this.selected]);
  }

  keydown(event) {
    const tile = event.target.closest(".tile");
    if (!tile) return;
    const index = this.index(tile);
    const columns = getComputedStyle(this.box).gridTemplateColumns.split(" ").length;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    const step = steps[event.key];
    if (step !== undefined) {
      event.preventDefault();
      const next = Math.max(0, Math.min(index + step, this.items.length - 1));
      if (event.shiftKey) {
        this.toggle(index, true);
        this.toggle(next, true);
        this.chosen([...this.selected]);
      }
      this.focus(next);
    } else if (event.key === "a" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.items.forEach((item) => this.selected.add(item.key));
      [...this.box.children].forEach((one) => this.mark(one));
      this.chosen([...this.selected]);
    } else if (event.key === "Escape") {
      this.clear();
    } else if (!event.ctrlKey && !event.metaKey) {
      this.key(event, this.selected.size > 0 ? [...this.selected] : [tile.dataset.key]);
    }
  }

  clear() {
    this.selected.clear();
    [...this.box.children].forEach((tile) => this.mark(tile));
    this.chosen([]);
  }
}

/** A picture that is loaded when it comes near. */
export const picture = (src, alt) => {
  const image = make("img", { alt, width: 160, height: 120, decoding: "async" });
  image.loading = "lazy";
  image.src = src;
  return image;
};

/** Buttons for the states, with their keys. Gives the bar's children. */
export function stateButtons(states, give) {
  return states.map((state, i) => {
    const hint = i < 9 ? make("kbd", {}, String(i + 1)) : undefined;
    const button = make("button", { type: "button", className: `button state state-${i % 8}` }, hint, state);
    button.addEventListener("click", () => give(state));
    return button;
  });
}

/** The state of a number key. */
export const stateOf = (event, states) => (/^[1-9]$/.test(event.key) ? states[Number(event.key) - 1] : undefined);
