// Elements, and values as people read them. Text is only ever set as text: nothing from outside becomes markup.

/** An element; properties beginning with "on" are listeners, those with a "-" attributes. */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name.includes("-")) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

const WORDS = {
  waiting_for_human: "waits for a person",
  awaiting_approval: "waits for approval",
  waiting: "waiting",
};

export const words = (name) => WORDS[name] ?? name.replaceAll("_", " ");

export const badge = (status) => el("span", { className: `badge ${status}` }, words(status));

const UNITS = [
  [86400, "day"],
  [3600, "hour"],
  [60, "minute"],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });

/** A time, as how long ago; its title says it exactly. */
export function ago(rfc3339) {
  if (!rfc3339) return null;
  const date = new Date(rfc3339);
  const seconds = (date - Date.now()) / 1000;
  const found = UNITS.find(([length]) => Math.abs(seconds) >= length);
  const text = found ? relative.format(Math.trunc(seconds / found[0]), found[1]) : seconds > 5 ? "soon" : "just now";
  return el("time", { dateTime: rfc3339, title: date.toLocaleString() }, text);
}

/** A time of the day, with its date where that is not today. */
export function clock(rfc3339) {
  const date = new Date(rfc3339);
  const exactly = date.toDateString() === new Date().toDateString() ? {} : { day: "numeric", month: "short", year: "numeric" };
  const text = date.toLocaleString([], { ...exactly, hour: "2-digit", minute: "2-digit" });
  return el("time", { dateTime: rfc3339, title: date.toLocaleString() }, text);
}

/** A number of bytes, roughly. */
export function size(bytes) {
  const unit = Math.min(3, Math.floor(Math.log(Math.max(bytes, 1)) / Math.log(1024)));
  return `${Math.round(bytes / 1024 ** unit)} ${["B", "KiB", "MiB", "GiB"][unit]}`;
}
