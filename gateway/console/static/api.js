// The API as the console asks it: with the key of this tab, as JSON or as a stream of events.

const PLACE = "gateway-key";

export const key = {
  read: () => sessionStorage.getItem(PLACE),
  keep: (text) => sessionStorage.setItem(PLACE, text),
  forget: () => sessionStorage.removeItem(PLACE),
};

/** An answer with a status from 400 on; its message says what to do. */
export class Refused extends Error {
  constructor(status, body) {
    super(body.message ?? `The gateway answered ${status}.`);
    this.status = status;
    this.code = body.error;
  }
}

async function ask(path, { method = "GET", body, headers = {}, signal } = {}) {
  const sent = { ...headers, "x-api-key": key.read() ?? "" };
  if (body !== undefined) sent["content-type"] = "application/json";
  const text = body === undefined ? undefined : JSON.stringify(body);
  const answer = await fetch(path, { method, headers: sent, body: text, signal, cache: "no-store" });
  if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})));
  return answer;
}

export const get = async (path) => (await ask(path)).json();

/** Have the browser keep a file, which is never shown in this page's name. */
export async function download(path, name) {
  const url = URL.createObjectURL(new Blob([await (await ask(path)).blob()], { type: "application/octet-stream" }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // it may be asked first where to keep it
}

export const post = async (path, body = {}) => (await ask(path, { method: "POST", body })).json();

/** The events of a conversation after `place.last`, which moves with them; ends when the conversation has. */
export async function* follow(conversationId, place, signal) {
  const headers = { "Last-Event-ID": place.last };
  const answer = await ask(`/v1/conversations/${conversationId}/events`, { headers, signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const frames = (rest + value).split("\n\n");
    rest = frames.pop();
    for (const frame of frames) {
      const fields = Object.fromEntries(frame.split("\n").map((line) => line.split(/: (.*)/s, 2)));
      if (!fields.event) continue;
      yield { kind: fields.event, body: JSON.parse(fields.data) };
      place.last = fields.id;
    }
  }
}
