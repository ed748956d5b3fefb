/**
 * The handwriting pad: pen, finger or mouse on ruled pages. Once a pen has been seen, fingers no longer draw (the hand
 * rests on the glass). Eraser by whole strokes, undo and redo over every change, several pages, replay.
 */
import { context, drawStroke } from "./ink-draw";
import { replay } from "./ink-replay";
import type { Ink, InkPoint, Stroke } from "./ink-model";
import { t } from "./words";

const ERASER_RADIUS = 9;
const UNDO_STEPS = 200;
const PEN_QUIET_MS = 60_000;

/** How far (x, y) is from the line of a stroke, between its points too: a fast stroke has few of them. */
function distance(stroke: Stroke, x: number, y: number): number {
  let nearest = Infinity;
  for (const [i, [x1, y1]] of stroke.points.entries()) {
    const [x0, y0] = stroke.points[Math.max(0, i - 1)]!;
    const length = (x1 - x0) ** 2 + (y1 - y0) ** 2;
    const along = length === 0 ? 0 : Math.min(1, Math.max(0, ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length));
    nearest = Math.min(nearest, Math.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0)));
  }
  return nearest;
}

export class InkPad {
  private readonly canvas = document.createElement("canvas");
  private drawing: CanvasRenderingContext2D;
  private pages: Stroke[][];
  private page = 0;
  private past: string[] = [];
  private future: string[] = [];
  private current: Stroke | null = null;
  private pointer: number | null = null;
  private device: Ink["device"] = "mouse";
  private penSeen = -Infinity;
  private erasing = false;
  private erased = false;
  private begun = 0;
  private stopReplay: (() => void) | null = null;
  private readonly buttons = new Map<string, HTMLButtonElement>();
  private readonly place = document.createElement("span");

  constructor(private readonly root: HTMLElement, kept: Ink | null, private readonly touched: () => void) {
    this.pages = kept?.pages.length ? structuredClone(kept.pages) : [[]];
    if (kept) this.device = kept.device;
    this.begun = performance.now() - Math.max(0, ...this.pages.flat().flatMap((stroke) => stroke.points.map((point) => point[2])));
    root.append(this.tools(), this.canvas);
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", t("손글씨 답", "Handwritten answer"));
    this.drawing = context(this.canvas, this.canvas.clientWidth, this.canvas.clientHeight);
    new ResizeObserver(() => this.redraw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
    this.canvas.addEventListener("pointerdown", (event) => this.down(event));
    this.canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"] as const) this.canvas.addEventListener(name, (event) => this.up(event));
    // A right click must not lift the pen into a menu.
    this.canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    document.addEventListener("keydown", (event) => this.key(event));
    this.update();
  }

  ink(): Ink {
    return { device: this.device, width: Math.round(this.canvas.clientWidth) || 640, height: Math.round(this.canvas.clientHeight) || 374, pages: this.pages };
  }

  // ---- pointer --------------------------------------------------------------------------------------------------
  private down(event: PointerEvent): void {
    if (event.pointerType === "pen") {
      this.penSeen = performance.now();
      // The hand often touches the glass before the pen does: what it began to draw is taken back.
      if (this.pointer !== null && this.device === "touch") this.takeBack();
    }
    if (this.rejects(event) || this.pointer !== null || event.button > 0 && event.button !== 5) return;
    event.preventDefault();
    this.stopReplay?.();
    this.pointer = event.pointerId;
    try {
      this.canvas.setPointerCapture(event.pointerId);
    } catch {
      // A synthetic pointer cannot be captured; drawing works without.
    }
    this.device = event.pointerType === "pen" ? "pen" : event.pointerType === "touch" ? "touch" : "mouse";
    this.erased = false;
    this.remember();
    // Button 5 is the eraser end of a pen.
    if (this.erasing || event.button === 5) {
      this.current = null;
      this.erase(event);
    } else this.current = { tool: "pen", points: [this.point(event)] };
  }
  private move(event: PointerEvent): void {
    if (event.pointerType === "pen") this.penSeen = performance.now();
    if (event.pointerId !== this.pointer) return;
    event.preventDefault();
    if (!this.current) return this.erase(event);
    // Coalesced events carry every sample of the pen; plain HTTP on a tablet has none.
    const samples = event.getCoalescedEvents?.() ?? [];
    for (const sample of samples.length ? samples : [event]) this.current.points.push(this.point(sample));
    this.redraw();
  }
  private up(event: PointerEvent): void {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    if (this.current) this.pages[this.page]!.push(this.current);
    else if (!this.erased) this.past.pop();
    this.current = null;
    this.redraw();
    this.update();
    this.touched();
  }
  private takeBack(): void {
    this.pages = JSON.parse(this.past.pop()!) as Stroke[][];
    this.pointer = null;
    this.current = null;
  }
  private rejects(event: PointerEvent): boolean {
    return event.pointerType === "touch" && performance.now() - this.penSeen < PEN_QUIET_MS;
  }
  private point(event: PointerEvent): InkPoint {
    const box = this.canvas.getBoundingClientRect();
    const round = (value: number): number => Math.round(value * 10) / 10;
    const pressure = event.pointerType === "mouse" ? 0.5 : event.pressure;
    return [round(event.clientX - box.left), round(event.clientY - box.top), Math.round(performance.now() - this.begun), Math.round(pressure * 1000) / 1000];
  }
  private erase(event: PointerEvent): void {
    const [x, y] = this.point(event);
    const strokes = this.pages[this.page]!;
    const kept = strokes.filter((stroke) => distance(stroke, x, y) >= ERASER_RADIUS);
    if (kept.length === strokes.length) return;
    this.erased = true;
    this.pages[this.page] = kept;
    this.redraw();
  }

  // ---- undo -----------------------------------------------------------------------------------------------------
  private remember(): void {
    this.past.push(JSON.stringify(this.pages));
    if (this.past.length > UNDO_STEPS) this.past.shift();
    this.future = [];
  }
  private step(from: string[], to: string[]): void {
    const pages = from.pop();
    if (pages === undefined) return;
    to.push(JSON.stringify(this.pages));
    this.pages = JSON.parse(pages) as Stroke[][];
    this.page = Math.min(this.page, this.pages.length - 1);
    this.redraw();
    this.update();
    this.touched();
  }
  private key(event: KeyboardEvent): void {
    if (this.root.closest("[hidden]") || !(event.metaKey || event.ctrlKey) || event.key.toLowerCase() !== "z") return;
    if (event.target instanceof HTMLTextAreaElement) return;
    event.preventDefault();
    event.shiftKey ? this.step(this.future, this.past) : this.step(this.past, this.future);
  }

  // ---- drawing --------------------------------------------------------------------------------------------------
  private redraw(): void {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (width === 0) return;
    const ratio = window.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) this.drawing = context(this.canvas, width, height);
    this.drawing.clearRect(0, 0, width, height);
    for (const stroke of this.pages[this.page]!) drawStroke(this.drawing, stroke, this.device === "pen");
    if (this.current) drawStroke(this.drawing, this.current, this.device === "pen");
  }

  // ---- tools ----------------------------------------------------------------------------------------------------
  private tools(): HTMLElement {
    const bar = document.createElement("div");
    bar.className = "inktools";
    bar.setAttribute("role", "toolbar");
    bar.setAttribute("aria-label", t("손글씨 도구", "Handwriting tools"));
    const add = (name: string, words: string, act: () => void, label = words, into = bar): void => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = words;
      if (label !== words) button.ariaLabel = button.title = label;
      button.dataset["tool"] = name;
      button.addEventListener("click", () => {
        act();
        this.update();
      });
      this.buttons.set(name, button);
      into.append(button);
    };
    add("pen", t("펜", "Pen"), () => (this.erasing = false));
    add("eraser", t("지우개", "Eraser"), () => (this.erasing = true));
    add("undo", t("되돌리기", "Undo"), () => this.step(this.past, this.future));
    add("redo", t("다시", "Redo"), () => this.step(this.future, this.past));
    add("replay", t("다시 보기", "Replay"), () => this.play());
    const pages = document.createElement("div");
    pages.className = "inkpages num";
    bar.append(pages);
    add("before", "←", () => this.turn(-1), t("앞 장", "Page before"), pages);
    pages.append(this.place);
    add("after", "→", () => this.turn(1), t("다음 장", "Next page"), pages);
    return bar;
  }
  private turn(by: number): void {
    this.stopReplay?.();
    const next = this.page + by;
    if (next < 0) return;
    if (next === this.pages.length) {
      if (this.pages[this.page]!.length === 0) return;
      this.remember();
      this.pages.push([]);
      this.touched();
    }
    this.page = next;
    this.redraw();
  }
  private play(): void {
    this.stopReplay?.();
    this.stopReplay = replay(this.canvas, this.pages[this.page]!, this.device === "pen", () => {
      this.stopReplay = null;
      this.redraw();
    });
  }
  private update(): void {
    this.root.classList.toggle("erasing", this.erasing);
    this.buttons.get("pen")!.setAttribute("aria-pressed", String(!this.erasing));
    this.buttons.get("eraser")!.setAttribute("aria-pressed", String(this.erasing));
    this.buttons.get("undo")!.disabled = this.past.length === 0;
    this.buttons.get("redo")!.disabled = this.future.length === 0;
    this.buttons.get("replay")!.disabled = this.pages[this.page]!.length === 0;
    this.buttons.get("before")!.disabled = this.page === 0;
    this.buttons.get("after")!.disabled = this.page === this.pages.length - 1 && this.pages[this.page]!.length === 0;
    this.place.textContent = `${this.page + 1}/${this.pages.length}`;
  }
}
