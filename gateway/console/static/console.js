// The console: signing in with a key, the folders, and which conversation the address bar names.

import { Refused, get, key, post } from "./api.js";
import { Conversation } from "./conversation.js";
import { el } from "./dom.js";
import { FOLDERS, List } from "./list.js";
import { forgetPeople } from "./people.js";

const EVERY = 4000; // milliseconds between two looks at a list
const place = (id) => document.getElementById(id);

const list = new List(place("list"));
const conversation = new Conversation(place("conversation"), tell, () => quietly(list.refresh()));
let timer = null;

function tell(error) {
  if (error instanceof Refused && error.status === 401) return signOut("The key is not valid any more.");
  place("fault").textContent = error ? error.message : "";
  place("fault").hidden = !error;
}

async function quietly(work) {
  try {
    await work;
  } catch (error) {
    tell(error);
  }
}

async function signIn() {
  try {
    await get("/v1/hitl/handoffs?limit=1");
  } catch (error) {
    key.forget();
    return signOut(error.status === 401 ? "There is no such key." : error.message);
  }
  place("sign-in").hidden = true;
  place("desk").hidden = false;
  timer = setInterval(() => document.hidden || quietly(list.refresh()), EVERY);
  show();
}

function signOut(fault = "") {
  key.forget();
  forgetPeople();
  clearInterval(timer);
  conversation.leave();
  place("desk").hidden = true;
  place("sign-in").hidden = false;
  place("sign-in-fault").textContent = fault;
  place("key").value = "";
  place("key").focus();
}

/** What the address bar says: #/FOLDER or #/FOLDER/CONVERSATION. */
function show() {
  const [, named, id] = location.hash.split("/");
  const name = Object.hasOwn(FOLDERS, named) ? named : "waiting";
  place("folders").replaceChildren(
    ...Object.entries(FOLDERS).map(([folder, { title }]) =>
      el("a", { href: `#/${folder}`, "aria-current": folder === name ? "page" : "false" }, title),
    ),
  );
  document.body.classList.toggle("reading", Boolean(id));
  tell(null);
  quietly(list.show(name, id));
  if (!id) conversation.leave();
  else if (id !== conversation.id) quietly(conversation.open(id));
}

async function tryIt() {
  const made = await post("/v1/conversations/test-chat");
  location.hash = `#/all/${made.id}`;
}

place("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  key.keep(place("key").value.trim());
  signIn();
});
place("sign-out").addEventListener("click", () => signOut());
place("try-it").addEventListener("click", () => quietly(tryIt()));
addEventListener("hashchange", () => place("desk").hidden || show());

if (key.read()) signIn();
else signOut();
