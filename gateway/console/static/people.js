// Who somebody is, as far as it is known: asked of the API once for each person of a list.

import { get } from "./api.js";

const NOBODY = { profile: {}, contacts: [] };
const known = new Map(); // by id: a promise of the person

/** The end user of a conversation; one that was only made for a trial has no record. */
export async function personOf({ session_type, end_user_id }) {
  if (session_type === "test") return NOBODY;
  try {
    return await get(`/v1/identity/end-users/${end_user_id}`);
  } catch (error) {
    if (error.status === 404) return NOBODY;
    throw error;
  }
}

/** Their name, or what they are reached by; "" where neither is known. */
export const nameOf = ({ profile, contacts }) => profile.name ?? addressesOf({ contacts });

export const addressesOf = ({ contacts }) => contacts.map((contact) => contact.value).join(", ");

const TRIALS = { test: "Test chat", simulation: "Simulation" };

/** What a conversation is called whose person nobody knows. */
export const unnamed = ({ session_type }) => TRIALS[session_type] ?? "Unknown person";

/** Calls `named` with the name of a conversation's person, now or once it is known, unless there is none. */
export function whoIs(conversation, named) {
  const id = conversation.end_user_id;
  if (!known.has(id)) {
    known.set(id, personOf(conversation));
    known.get(id).catch(() => known.delete(id)); // the next look asks again
  }
  known.get(id).then((person) => nameOf(person) && named(nameOf(person)), () => {});
}

/** Another key may see other people. */
export const forgetPeople = () => known.clear();
