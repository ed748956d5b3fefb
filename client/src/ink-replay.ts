/** Replays handwriting in the order and at the pace in which it was written, pauses shortened. */
import { context, drawStroke } from "./ink-draw";
import type { Ink, Stroke } from "./ink-model";
import { t } from "./words";

const LONGEST_PAUSE_MS = 400;

/** Strokes with their times moved together so that no pause is longer than LONGEST_PAUSE_MS. */
function paced(strokes: Stroke[]): Stroke[] {
  let clock = 0;
  let before: number | null = null;
  return strokes.map((stroke) => ({
    ...stroke,
    points: stroke.points.map((point) => {
      clock += before === null ? 0 : Math.min(Math.max(0, point[2] - before), LONGEST_PAUSE_MS);
      before = point[2];
      return [point[0], point[1], clock, point[3]];
    }),
  }));
}

/** Draws `strokes` over time; returns a function that stops. `done` is called once, at the end or when stopped. */
export function replay(canvas: HTMLCanvasElement, strokes: Stroke[], pressed: boolean, done: () => void): () => void {
  const drawing = canvas.getContext("2d")!;
  const moving = paced(strokes);
  const length = Math.max(0, ...moving.flatMap((stroke) => stroke.points.map((point) => point[2])));
  const start = performance.now();
  let running = true;
  const finish = (): void => {
    if (!running) return;
    running = false;
    done();
  };
  const frame = (): void => {
    if (!running) return;
    const at = performance.now() - start;
    drawing.clearRect(0, 0, canvas.width, canvas.height);
    for (const stroke of moving) drawStroke(drawing, stroke, pressed, at >= length ? Infinity : at);
    at >= length ? finish() : requestAnimationFrame(frame);
  };
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) queueMicrotask(finish);
  else requestAnimationFrame(frame);
  return finish;
}

/** The handwritten answer on the reveal: every page below the other, each with a replay. */
export function mountReplay(root: HTMLElement, ink: Ink | null): void {
  if (!ink) return;
  for (const [number, strokes] of ink.pages.entries()) {
    if (strokes.length === 0) continue;
    const canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", t(`손글씨 답, ${number + 1}장`, `Handwritten answer, page ${number + 1}`));
    root.append(canvas);
    const draw = (): void => {
      const width = canvas.clientWidth || ink.width;
      const scale = width / ink.width;
      // The height follows the writing, not the empty rest of the page.
      const bottom = Math.max(...strokes.flatMap((stroke) => stroke.points.map((point) => point[1]))) + 24;
      const height = Math.min(bottom, ink.height) * scale;
      canvas.style.height = `${height}px`;
      const drawing = context(canvas, width, height);
      drawing.scale(scale, scale);
      for (const stroke of strokes) drawStroke(drawing, stroke, ink.device === "pen");
    };
    draw();
    new ResizeObserver(draw).observe(root);
    const tools = document.createElement("div");
    tools.className = "inktools";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = t("다시 보기", "Replay");
    button.addEventListener("click", () => replay(canvas, strokes, ink.device === "pen", draw));
    tools.append(button);
    root.append(tools);
  }
}
