/**
 * What has been written and not yet stored by the server lives here, in IndexedDB: drafts, one for each question and
 * language, and the outbox of answers that were handed in while the server could not be reached.
 */
import { openDB, type DBSchema } from "idb";
import type { Ink } from "./ink-model";

export interface Draft {
  text: string;
  ink: Ink | null;
  way: string;
  seconds: number;
  at: number;
}
export interface Outgoing {
  attempt: string;
  question: string;
  session: string | null;
  language: string;
  way: string;
  text: string;
  ink: Ink | null;
  seconds: number;
}
interface Schema extends DBSchema {
  drafts: { key: string; value: Draft };
  outbox: { key: string; value: Outgoing };
}

const database = openDB<Schema>("viva", 1, {
  upgrade(db) {
    db.createObjectStore("drafts");
    db.createObjectStore("outbox", { keyPath: "attempt" });
  },
});

export const getDraft = async (key: string): Promise<Draft | undefined> => (await database).get("drafts", key);
export const putDraft = async (key: string, draft: Draft): Promise<void> => {
  await (await database).put("drafts", draft, key);
};
export const dropDraft = async (key: string): Promise<void> => (await database).delete("drafts", key);

const LAST_WORDS = "viva-last-words";
/** A draft kept without waiting: a page that is going away has no time for IndexedDB. One place, for the page last left. */
export function putLastWords(key: string, draft: Draft): void {
  try {
    localStorage.setItem(LAST_WORDS, JSON.stringify({ key, draft }));
  } catch {
    // More strokes than fit: the copy in IndexedDB is at most one stroke behind.
  }
}
/** The draft that `putLastWords` kept for `key`, once. */
export function takeLastWords(key: string): Draft | undefined {
  const kept = JSON.parse(localStorage.getItem(LAST_WORDS) ?? "null") as { key: string; draft: Draft } | null;
  if (kept?.key !== key) return undefined;
  localStorage.removeItem(LAST_WORDS);
  return kept.draft;
}

export const enqueue = async (answer: Outgoing): Promise<void> => {
  await (await database).put("outbox", answer);
};
export const dequeue = async (attempt: string): Promise<void> => (await database).delete("outbox", attempt);
export const outbox = async (): Promise<Outgoing[]> => (await database).getAll("outbox");
