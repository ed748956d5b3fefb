// Bundles the page's scripts and styles into src/viva/web/static: `node build.mjs`.
// Each file of src/islands is one entry, loaded only by the pages that need it.
import { build } from "esbuild";
import { cpSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "src", "viva", "web", "static");
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

await build({
  absWorkingDir: here,
  entryPoints: [
    ...readdirSync(join(here, "src", "islands")).map((name) => `src/islands/${name}`),
    "src/service-worker.ts",
    "styles/viva.css",
  ],
  entryNames: "[name]",
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  minify: true,
  sourcemap: false,
  external: ["/static/*"],
  outdir: out,
  logLevel: "warning",
});

cpSync(join(here, "fonts", "woff2-dynamic-subset"), join(out, "fonts"), { recursive: true });
cpSync(join(here, "fonts", "OFL.txt"), join(out, "fonts", "OFL.txt"));
cpSync(join(here, "icon.svg"), join(out, "icon.svg"));
const katex = join(here, "node_modules", "katex", "dist");
mkdirSync(join(out, "katex", "fonts"), { recursive: true });
cpSync(join(katex, "katex.min.css"), join(out, "katex", "katex.min.css"));
for (const font of readdirSync(join(katex, "fonts"))) {
  if (font.endsWith(".woff2")) cpSync(join(katex, "fonts", font), join(out, "katex", "fonts", font));
}
