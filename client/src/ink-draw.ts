/** Drawing strokes on a canvas: perfect-freehand gives the outline, pressure its width. */
import { getStroke } from "perfect-freehand";
import type { Stroke } from "./ink-model";

const SIZE = 3.4;

export function context(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const drawing = canvas.getContext("2d")!;
  drawing.setTransform(ratio, 0, 0, ratio, 0, 0);
  return drawing;
}

export function drawStroke(drawing: CanvasRenderingContext2D, stroke: Stroke, pressed: boolean, upTo = Infinity): void {
  const points = stroke.points.filter((point) => point[2] <= upTo).map(([x, y, , pressure]) => [x, y, pressure]);
  if (points.length === 0) return;
  const outline = getStroke(points, { size: SIZE, thinning: 0.55, smoothing: 0.5, streamline: 0.35, simulatePressure: !pressed, last: upTo === Infinity });
  if (outline.length === 0) return;
  const path = new Path2D();
  path.moveTo(outline[0]![0]!, outline[0]![1]!);
  for (let i = 1; i < outline.length; i++) {
    const [x0, y0] = outline[i]! as [number, number];
    const [x1, y1] = outline[(i + 1) % outline.length]! as [number, number];
    path.quadraticCurveTo(x0, y0, (x0 + x1) / 2, (y0 + y1) / 2);
  }
  path.closePath();
  drawing.fillStyle = getComputedStyle(drawing.canvas).color;
  drawing.fill(path);
}
