/** Answering: three ways to answer, the clock, drafts that survive a closed tab and a dead server, and handing in. */
import { dequeue, dropDraft, enqueue, getDraft, outbox, putDraft, putLastWords, takeLastWords, type Draft, type Outgoing } from "../drafts";
import { InkPad } from "../ink-pad";
import { isEmpty, type Ink } from "../ink-model";
import { Refused, send } from "../request";
import { t } from "../words";

type Way = "text" | "ink" | "spoken";
const WAYS: Way[] = ["text", "ink", "spoken"];
const RETRY_MS = 3000;
const form = document.querySelector<HTMLFormElement>("#answer")!;
const text = form.querySelector<HTMLTextAreaElement>("textarea")!;
const saved = form.querySelector<HTMLElement>("#saved")!;
const clock = form.querySelector<HTMLElement>("#clock")!;
const data = form.dataset;
const question = data["question"]!;
const draftKey = `${question}/${data["lang"]}`;
const limit = data["secondsLeft"] ? Number(data["secondsLeft"]) : null;
const speak = form.querySelector<HTMLButtonElement>("[data-spoken]")!;
let way: Way = "text";
let seconds = 0;
let handedIn = false;
let pad: InkPad | null = null;
let keptInk: Ink | null = null;
let restored: Promise<void> = Promise.resolve();

// ---- ways of answering ------------------------------------------------------------------------------------------
function choose(next: Way, focus = true): void {
  way = next;
  for (const name of WAYS) {
    const tab = form.querySelector<HTMLElement>(`#tab-${name}`)!;
    const chosen = name === next;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    form.querySelector<HTMLElement>(`#way-${name}`)!.hidden = !chosen;
  }
  form.querySelector<HTMLInputElement>('[name="way"]')!.value = next;
  // The pad opens on the strokes of the draft, so it waits for them.
  if (next === "ink") void restored.then(() => (pad ??= new InkPad(form.querySelector<HTMLElement>("[data-pad]")!, keptInk, touched)));
  if (focus && next === "text") text.focus();
  if (focus && next === "spoken") speak.focus();
  if (limit === null) clock.hidden = next === "spoken";
}
form.querySelector('[role="tablist"]')!.addEventListener("click", (event) => {
  const tab = (event.target as Element).closest<HTMLElement>("[data-way]");
  if (tab) choose(tab.dataset["way"] as Way);
});
form.querySelector('[role="tablist"]')!.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[(event as KeyboardEvent).key];
  if (!step) return;
  event.preventDefault();
  const next = WAYS[(WAYS.indexOf(way) + step + WAYS.length) % WAYS.length]!;
  choose(next, false);
  form.querySelector<HTMLElement>(`#tab-${next}`)!.focus();
});

// ---- clock ------------------------------------------------------------------------------------------------------
const show = (s: number): string => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
const opened = performance.now();
const left = (): number => (limit === null ? Infinity : limit - (performance.now() - opened) / 1000);
let speaking: number | null = null;
let spoken = 0;
function showClocks(): void {
  clock.textContent = show(limit === null ? seconds : Math.max(0, left()));
  clock.classList.toggle("late", left() < 60);
  const now = speaking === null ? 0 : (performance.now() - speaking) / 1000;
  form.querySelector("#spoken-clock")!.textContent = show(spoken + now);
}
setInterval(() => {
  if (document.visibilityState === "visible") seconds += 1;
  showClocks();
  if (left() <= 0 && !handedIn) void timeIsUp();
}, 1000);
showClocks();
function toggleSpeaking(): void {
  if (speaking === null) speaking = performance.now();
  else {
    spoken += (performance.now() - speaking) / 1000;
    speaking = null;
  }
  showClocks();
  speak.firstChild!.textContent = speaking === null ? t("이어서 말하기", "Go on speaking") : t("멈추기", "Pause");
}
speak.addEventListener("click", toggleSpeaking);

// ---- drafts -----------------------------------------------------------------------------------------------------
const strokes = (): Ink | null => (pad ? pad.ink() : keptInk);
let later: ReturnType<typeof setTimeout> | undefined;
let keeping = false;
let again = false;
let onServer: Promise<unknown> = Promise.resolve();

const isBlank = (): boolean => !text.value && isEmpty(strokes());
const draft = (): Draft => ({ text: text.value, ink: isEmpty(strokes()) ? null : strokes(), way, seconds, at: Date.now() });

/** Keeps the draft on this device, at once; what changes while a write is under way is written right after it. */
async function keep(): Promise<void> {
  if (handedIn) return;
  again = keeping;
  if (keeping) return;
  keeping = true;
  try {
    if (isBlank()) await dropDraft(draftKey);
    else {
      await putDraft(draftKey, draft());
      if (!handedIn) saved.textContent = t("이 기기에 저장했습니다", "Saved on this device");
    }
  } finally {
    keeping = false;
  }
  if (again) await keep();
}
async function keepOnServer(): Promise<void> {
  if (handedIn) return;
  const ink = strokes();
  try {
    await send("PUT", `/api/drafts/${encodeURIComponent(question)}`, { text: text.value, ink: isEmpty(ink) ? null : ink });
    if (!handedIn) saved.textContent = t("저장했습니다", "Saved");
  } catch {
    if (!handedIn) saved.textContent = t("이 기기에 저장했습니다. 서버가 돌아오면 이어집니다", "Saved on this device; the server cannot be reached");
  }
}
function touched(): void {
  clearTimeout(later);
  void keep();
  later = setTimeout(() => (onServer = keepOnServer()), 2000);
}
text.addEventListener("input", touched);
addEventListener("pagehide", () => {
  if (!handedIn && !isBlank()) putLastWords(draftKey, draft());
  void keep();
});
document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && void keep());
// Switching the language is another page load: keep the words for it first, and leave none behind in the old language.
for (const other of document.querySelectorAll<HTMLFormElement>("form[data-keep-draft]")) {
  other.addEventListener("submit", (event) => {
    const submitter = (event as SubmitEvent).submitter as HTMLButtonElement | null;
    if (other.dataset["kept"] || isBlank()) return;
    event.preventDefault();
    clearTimeout(later);
    const moving = putDraft(`${question}/${submitter?.value}`, draft())
      .then(() => onServer)
      .then(() => send("PUT", `/api/drafts/${encodeURIComponent(question)}`, { text: "", ink: null }))
      .then(() => dropDraft(draftKey));
    handedIn = true; // nothing is written under the old language from here on
    void moving.catch(() => undefined).finally(() => {
      other.dataset["kept"] = "1";
      other.requestSubmit(submitter);
    });
  });
}
const points = (ink: Ink | null): string => JSON.stringify((ink?.pages ?? []).map((page) => page.map((stroke) => stroke.points)));
async function restore(): Promise<void> {
  const last = takeLastWords(draftKey);
  const stored = await getDraft(draftKey).catch(() => undefined);
  const local = last && last.at >= (stored?.at ?? 0) ? last : stored;
  const serverInk = data["draftInk"] ? (JSON.parse(data["draftInk"]) as Ink) : null;
  const serverAt = Number(data["draftAt"] ?? 0);
  // The server's copy is written a moment after the one here: the same words are not newer words.
  const same = local?.text === text.defaultValue && points(local?.ink ?? null) === points(serverInk);
  if (local && (same || local.at >= serverAt)) {
    // The learner may have started typing before the store opened.
    if (!text.value || text.value === text.defaultValue) text.value = local.text;
    keptInk = local.ink;
    seconds = Math.max(seconds, local.seconds);
    if (local.way !== "text") choose(local.way as Way, false);
    if (!same) later = setTimeout(() => (onServer = keepOnServer()), 2000);
  } else if (local) {
    // The server's copy is the newer one; the time spent and the way of answering are only known here.
    seconds = Math.max(seconds, local.seconds);
    keptInk = serverInk ?? local.ink;
    if (local.way !== "text") choose(local.way as Way, false);
  } else if (serverInk) {
    keptInk = serverInk;
    if (!text.value) choose("ink", false);
  }
  if (text.value || !isEmpty(keptInk)) saved.textContent = t("쓰던 답을 불러왔습니다", "Your draft is back");
  await takeUp();
}
/** An answer to this question that was handed in and has not arrived yet: the same attempt goes on here. */
async function takeUp(): Promise<void> {
  const waiting = (await outbox().catch(() => [])).find((one) => one.question === question && one.session === data["session"]);
  if (!waiting) return;
  data["attempt"] = waiting.attempt;
  if (waiting.way !== "text" || !waiting.text || waiting.text === text.value) await retry(waiting, text.value);
}

// ---- handing in -------------------------------------------------------------------------------------------------
async function handIn(unknown = false): Promise<void> {
  if (handedIn) return;
  handedIn = true;
  clearTimeout(later);
  if (speaking !== null) toggleSpeaking();
  const ink = way === "ink" ? strokes() : null;
  const answer: Outgoing = {
    attempt: data["attempt"]!,
    question,
    session: data["session"] ?? null,
    language: data["lang"]!,
    way: unknown ? "text" : way,
    text: unknown || way !== "text" ? "" : text.value,
    ink: unknown || isEmpty(ink) ? null : ink,
    seconds: way === "spoken" && spoken > 0 ? Math.round(spoken) : seconds,
  };
  for (const button of form.querySelectorAll("button")) button.disabled = true;
  saved.textContent = t("저장하는 중", "Saving");
  await enqueue(answer).catch(() => undefined);
  try {
    // A draft that is still on its way would arrive after the answer and come back as a draft of nothing new.
    await Promise.race([onServer, new Promise((resolve) => setTimeout(resolve, 1500))]);
    const { next } = await send<{ next: string }>("POST", "/api/attempts", answer);
    await dequeue(answer.attempt).catch(() => undefined);
    await dropDraft(draftKey).catch(() => undefined);
    location.assign(left() <= 0 ? data["end"]! : next);
  } catch (error) {
    handedIn = false;
    for (const button of form.querySelectorAll("button")) button.disabled = false;
    if (error instanceof Refused) {
      await dequeue(answer.attempt).catch(() => undefined);
      saved.textContent = error.message;
    } else {
      await keep();
      waitForServer(answer);
    }
  }
}
function waitForServer(answer: Outgoing): void {
  saved.textContent = t(
    "서버에 닿지 않습니다. 답은 이 기기에 있고, 서버가 돌아오면 보냅니다.",
    "The server cannot be reached. Your answer is kept on this device and is sent when it is back.",
  );
  const written = text.value;
  setTimeout(() => void retry(answer, written), RETRY_MS);
}
/** Tries again in the background while the page stays open and nothing has been changed. */
async function retry(answer: Outgoing, written: string): Promise<void> {
  const unchanged = text.value === written && (answer.way !== "ink" || points(strokes()) === points(answer.ink));
  if (handedIn || !unchanged) return;
  try {
    await fetch("/health", { cache: "no-store" });
  } catch {
    waitForServer(answer);
    return;
  }
  await handIn(answer.way === "text" && !answer.text);
}
/** The exam is over: what has been written is handed in; a question not begun stays without an answer. */
async function timeIsUp(): Promise<void> {
  if (way === "text" ? text.value.trim() : way === "ink" ? !isEmpty(strokes()) : spoken > 0 || speaking !== null) await handIn();
  else location.assign(data["end"]!);
}
form.addEventListener("submit", (event) => {
  event.preventDefault();
  void handIn();
});
form.querySelector("[data-unknown]")!.addEventListener("click", () => void handIn(true));

document.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) {
    event.preventDefault();
    void handIn();
  } else if (event.altKey && event.code === "Digit0") {
    event.preventDefault();
    void handIn(true);
  } else if (event.altKey && /^Digit[123]$/.test(event.code)) {
    event.preventDefault();
    choose(WAYS[Number(event.code.at(-1)) - 1]!);
  } else if (event.altKey && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
    const link = document.querySelector<HTMLAnchorElement>(event.key === "ArrowLeft" ? '[rel="prev"]' : '.places a.push');
    if (link) {
      event.preventDefault();
      link.click();
    }
  } else if (event.code === "Space" && way === "spoken" && !(event.target as Element).closest("button:not([role=tab]), a, dialog")) {
    event.preventDefault();
    toggleSpeaking();
  }
});
restored = restore();
void restored.finally(() => (data["ready"] = "1"));
