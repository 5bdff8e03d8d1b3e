// The lists on the left: what waits for a person, what waits for a decision, and all conversations.

import { get } from "./api.js";
import { ago, badge, el, words } from "./dom.js";
import { unnamed, whoIs } from "./people.js";

const LIMIT = 50;

/** The lists, by their name in the address bar. */
export const FOLDERS = {
  waiting: {
    title: "Waiting",
    path: "/v1/hitl/handoffs?status=requested&status=assigned&status=accepted",
    nothing: "Nobody waits for a person.",
    row: (handoff) => ({
      conversation: handoff.conversation_id,
      title: handoff.reason || "Handed over",
      line: [handoff.assignee ? `with ${handoff.assignee}` : "not taken yet"],
      mark: el("span", { className: `badge ${handoff.assignee ? "" : "waiting_for_human"}` }, words(handoff.status)),
      at: handoff.created_at,
    }),
  },
  approvals: {
    title: "Approvals",
    path: "/v1/hitl/approvals?status=pending",
    nothing: "No tool call waits for a decision.",
    row: (approval) => ({
      conversation: approval.conversation_id,
      title: approval.subject_ref,
      line: ["until ", ago(approval.timeout_at), approval.approver_role ? `, by ${approval.approver_role}` : null],
      mark: badge("awaiting_approval"),
      at: approval.created_at,
    }),
  },
  all: {
    title: "All",
    path: "/v1/conversations",
    nothing: "No conversations yet. Send a text or a mail, or begin a test chat.",
    row: (conversation) => ({
      conversation: conversation.id,
      title: conversation.subject ?? unnamed(conversation),
      named: conversation.subject ? null : (change) => whoIs(conversation, change),
      line: [
        conversation.session_type === "live" ? conversation.channel : conversation.session_type,
        ` · ${conversation.message_count} message${conversation.message_count === 1 ? "" : "s"}`,
      ],
      mark: badge(conversation.status),
      at: conversation.last_message_at ?? conversation.created_at,
    }),
  },
};

/** Shows a folder in `place`, and its further pages on demand. */
export class List {
  constructor(place) {
    this.place = place;
    this.pages = 1;
  }

  show(name, selected) {
    if (name !== this.name) this.pages = 1;
    this.name = name;
    this.selected = selected;
    return this.refresh();
  }

  async refresh() {
    const name = this.name;
    const folder = FOLDERS[name];
    const items = [];
    let page = { has_more: true, next_cursor: null };
    for (let n = 0; n < this.pages && page.has_more; n += 1) {
      const query = new URLSearchParams({ limit: LIMIT, ...(page.next_cursor && { cursor: page.next_cursor }) });
      page = await get(folder.path + (folder.path.includes("?") ? "&" : "?") + query);
      items.push(...page.items);
    }
    if (name !== this.name) return;
    const rows = items.map((item) => this.row(folder.row(item)));
    if (!rows.length) rows.push(el("p", { className: "note" }, folder.nothing));
    if (page.has_more) rows.push(el("button", { onclick: () => this.more() }, "Show more"));
    this.place.replaceChildren(...rows);
  }

  more() {
    this.pages += 1;
    return this.refresh();
  }

  row({ conversation, title, named, line, mark, at }) {
    const current = conversation === this.selected;
    const heading = el("strong", {}, title);
    named?.((name) => (heading.textContent = name));
    return el(
      "a",
      { className: "row", href: `#/${this.name}/${conversation}`, "aria-current": current ? "page" : "false" },
      heading,
      el("span", { className: "faint" }, ago(at)),
      el("span", { className: "faint" }, ...line),
      mark,
    );
  }
}
