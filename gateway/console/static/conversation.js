// One conversation on the right: what was said, as it is said, and what the operator may do about it.

import { download, follow, get, post } from "./api.js";
import { badge, clock, el, size, words } from "./dom.js";
import { addressesOf, nameOf, personOf, unnamed } from "./people.js";

const AGAIN = 2000; // milliseconds until a stream that broke is taken up again
const OVER = ["closed", "expired", "error", "superseded"];

/** Why nothing can be said now, and what can be done instead, where that is so. */
const NOT_NOW = {
  queued: "The call has not been made yet, so nobody can be spoken to. Close takes it back.",
  ringing: "Nobody has answered the call yet, so nobody can be spoken to. Close hangs up.",
  paused: "The call is on hold at its host. What is said meanwhile waits for the agent, who goes on when the host does. Close hangs up.",
  transferred: "The caller is with the person they were connected to, and nothing from here reaches them. Close ends the conversation here.",
  awaiting_approval: "A call of a tool waits for a decision.",
};
const TRANSFERRING = "The caller is being connected to somebody. If that fails, the agent has them back, and they can be taken over. Close hangs up.";

export class Conversation {
  /** `told` is called with what went wrong, or with null; `changed` when the lists may have changed. */
  constructor(place, told, changed) {
    this.place = place;
    this.told = told;
    this.changed = changed;
  }

  async open(id) {
    this.leave();
    const reading = new AbortController();
    this.reading = reading;
    this.id = id;
    const found = await get(`/v1/conversations/${id}`).catch((error) => this.missing(error, reading.signal));
    const person = await personOf(found);
    if (reading.signal.aborted) return;
    this.about = found;
    this.status = found.status;
    this.approval = null;
    this.handoff = null;
    this.onCall = false;
    this.text = undefined;
    this.log = el("ol", { className: "log", "aria-live": "polite" });
    this.head = el("header", { className: "about" });
    this.desk = el("div", { className: "reply" });
    this.place.replaceChildren(this.head, this.log, this.desk);
    this.describe(person);
    this.offer();
    this.read(reading.signal);
  }

  /** It cannot be shown: the place says so, and the list is a tap away. */
  missing(error, signal) {
    if (!signal.aborted) this.place.replaceChildren(el("header", { className: "about" }, back(), el("p", { className: "faint" }, "It cannot be shown.")));
    throw error;
  }

  leave() {
    this.reading?.abort();
    this.reading = null;
    this.id = null;
    this.place.replaceChildren(el("p", { className: "note" }, "Choose a conversation from the list."));
  }

  describe(person) {
    const { channel, session_type, subject } = this.about;
    const contacts = addressesOf(person);
    const kind = session_type === "live" ? channel : `${channel}, ${session_type}`;
    this.mark = el("span", {}, badge(this.status));
    this.head.replaceChildren(
      back(),
      el(
        "div",
        {},
        el("h2", {}, subject ?? (nameOf(person) || unnamed(this.about))),
        el("p", { className: "faint" }, [kind, contacts].filter(Boolean).join(" · "), " ", el("code", {}, this.id)),
      ),
      this.mark,
    );
  }

  /** Everything from the beginning, then as it happens; a stream that breaks goes on where it was. */
  async read(signal) {
    const place = { last: "0" };
    while (!signal.aborted) {
      try {
        for await (const event of follow(this.id, place, signal)) this.take(event);
        if (OVER.includes(this.status)) return;
      } catch (error) {
        if (signal.aborted) return;
        if (error.status && error.status < 500) return void this.told(error);
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
    }
  }

  take({ kind, body }) {
    const atEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 80;
    if (kind === "message") {
      this.log.append(said(body));
      this.follow(body.metadata.voice_event?.kind);
    }
    if (kind === "status") {
      this.status = body.session_status;
      this.mark.replaceChildren(badge(this.status));
      this.note(body.at, `Status: ${words(this.status)}`);
    }
    if (kind === "handoff") {
      this.handoff = body;
      this.note(null, handoffLine(body));
    }
    if (kind === "approval") {
      this.approval = body.status === "pending" ? body : null;
      if (body.status !== "pending") this.note(body.decided_at ?? body.created_at, decisionLine(body));
    }
    if (kind === "intent") this.note(null, `Call: ${words(body.kind)}, ${words(body.state)}`);
    if (kind !== "message") {
      this.offer();
      this.changed();
    }
    if (atEnd) this.log.scrollTop = this.log.scrollHeight;
  }

  /** Whether there is a call changes what can be said while it is being transferred. */
  follow(happened) {
    if (happened !== "call.started" && happened !== "call.ended") return;
    this.onCall = happened === "call.started";
    this.offer();
  }

  note(at, text) {
    this.log.append(el("li", { className: "event" }, text, at ? [" ", clock(at)] : null));
  }

  /** The controls for the status it has now; what was typed stays, and the cursor with it. */
  offer() {
    const typed = this.text?.value ?? "";
    const writing = this.text !== undefined && document.activeElement === this.text;
    this.text = el("textarea", { rows: 3, value: typed, "aria-label": "Your words", onkeydown: (event) => this.typed(event) });
    this.desk.replaceChildren(...this.controls());
    if (writing) this.text.focus();
  }

  /** Ctrl or ⌘ and Enter do what the first button does. */
  typed(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.desk.querySelector("button.first")?.click();
  }

  controls() {
    const path = `/v1/conversations/${this.id}`;
    const human = (more) => () => this.say((content) => post(`${path}/human-turns`, { content, ...more }));
    const close = el("button", { onclick: () => this.act(() => post(`${path}/close`)) }, "Close");
    if (OVER.includes(this.status)) return [el("p", { className: "note" }, `It is ${words(this.status)}; nothing more can be said.`)];
    if (this.about.session_type === "simulation") return [el("p", { className: "note" }, "A simulation replays its script; nobody else speaks in it.")];
    if (this.approval) return this.decision(path, close);
    const asEndUser = this.about.session_type === "test";
    const hindrance = this.transferring() ? TRANSFERRING : NOT_NOW[this.status];
    if (hindrance && !asEndUser) return [el("p", { className: "note" }, hindrance), el("div", { className: "buttons" }, close)];
    if (this.status === "waiting_for_human") {
      const back = () => this.act(() => post(`${path}/human-turns`, { return_control: true }));
      this.text.placeholder = "Answer as a person";
      return [
        this.text,
        el(
          "div",
          { className: "buttons" },
          el("button", { className: "first", onclick: human({}) }, "Send"),
          el("button", { onclick: human({ return_control: true }) }, "Send, then the agent goes on"),
          el("button", { onclick: back }, "Let the agent go on"),
          close,
        ),
      ];
    }
    const buttons = [];
    if (asEndUser) {
      const asked = (user_message) => post(`${path}/turns`, { user_message });
      this.text.placeholder = "Write as the end user; try: human, refund, source, long, bye";
      buttons.push(el("button", { className: "first", onclick: () => this.say(asked) }, "Send as end user"));
    } else {
      this.text.placeholder = "Take the conversation over with these words";
    }
    if (this.status === "active") buttons.push(el("button", { onclick: human({ take_over: true }) }, "Take over"));
    return [this.text, el("div", { className: "buttons" }, ...buttons, close)];
  }

  /** A person is being called for somebody on the phone: until that has ended, nobody else may speak. */
  transferring() {
    const { status, packet } = this.handoff ?? {};
    return this.status === "waiting_for_human" && this.onCall && ["requested", "assigned", "accepted"].includes(status) && Boolean(packet.transfer_to);
  }

  decision(path, close) {
    const { id, subject_ref, payload, approver_role } = this.approval;
    const decide = (decision) => () =>
      this.act(() => post(`${path}/approvals/${id}/resolve`, { decision, note: this.text.value.trim() || null }));
    this.text.placeholder = "A note (may be left out)";
    this.text.rows = 1;
    return [
      el(
        "div",
        { className: "approval" },
        el("strong", {}, "May the agent call ", el("code", {}, subject_ref), "?"),
        approver_role ? el("span", { className: "faint" }, ` Decided by: ${approver_role}`) : null,
        el("pre", {}, JSON.stringify(payload.arguments ?? payload, null, 2)),
      ),
      this.text,
      el(
        "div",
        { className: "buttons" },
        el("button", { className: "first", onclick: decide("approve") }, "Approve"),
        el("button", { className: "danger", onclick: decide("reject") }, "Reject"),
        close,
      ),
    ];
  }

  async say(send) {
    const field = this.text;
    const content = field.value.trim();
    if (!content) return void field.focus();
    if (await this.act(() => send(content))) {
      field.value = "";
      if (this.text !== field) this.text.value = "";
    }
  }

  async act(send) {
    const buttons = [...this.desk.querySelectorAll("button")];
    for (const button of buttons) button.disabled = true;
    try {
      await send();
      this.told(null);
      return true;
    } catch (error) {
      this.told(error);
      return false;
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  }
}

const back = () => el("a", { className: "back", href: `#/${location.hash.split("/")[1]}`, "aria-label": "Back to the list" }, "‹");

function said(message) {
  const { role, authored_by, content, created_at, delivery_status, tool_calls, evidence, metadata } = message;
  const who = { end_user: "end user", human_operator: "operator" }[authored_by] ?? authored_by;
  const side = role === "user" ? "theirs" : role === "assistant" ? "ours" : "event";
  const failed = delivery_status === "failed" || delivery_status === "unknown";
  return el(
    "li",
    { className: `${side} ${authored_by}` },
    el("p", { className: "words" }, content),
    (metadata.attachments ?? []).filter((file) => file.id).map(attached),
    tool_calls.map((call) =>
      el("details", {}, el("summary", {}, `tool ${call.name}${call.error ? " failed" : ""}`), el("pre", {}, JSON.stringify({ arguments: call.arguments, output: call.output, error: call.error }, null, 2))),
    ),
    evidence.map((chunk) => el("details", {}, el("summary", {}, `source ${chunk.chunk_id}`), el("p", {}, chunk.text))),
    el(
      "p",
      { className: "faint" },
      `${who} · `,
      clock(created_at),
      delivery_status ? [" · ", el("span", { className: failed ? "failed" : "" }, words(delivery_status))] : null,
    ),
  );
}

/** A file that came, or went, with a message. The API wants the key, which a link would not send. */
function attached({ id, name, media_type, size: bytes }) {
  const title = name ?? media_type;
  const button = el("button", { className: "file", onclick: fetched }, title, bytes ? el("span", { className: "faint" }, ` ${size(bytes)}`) : null);
  async function fetched() {
    button.disabled = true;
    try {
      await download(`/v1/attachments/${id}`, title);
    } catch (error) {
      button.append(el("span", { className: "failed" }, ` ${error.message}`));
    } finally {
      button.disabled = false;
    }
  }
  return button;
}

function handoffLine({ status, assignee, reason }) {
  if (status === "requested") return `A person is asked for${reason ? `: ${reason}` : "."}`;
  if (status === "resolved") return "The person's work is done.";
  if (status === "cancelled") return "No person is needed any more.";
  return `${assignee} has the conversation.`;
}

function decisionLine({ status, decided_by, note }) {
  return `${words(status)}${decided_by ? ` by ${decided_by}` : ""}${note ? `: ${note}` : "."}`;
}
