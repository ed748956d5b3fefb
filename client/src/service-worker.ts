/**
 * Keeps the pages reachable while the server is away: static files from the cache first, pages from the network first and
 * from the cache when the network fails. Nothing is fetched from anywhere else.
 */
declare const self: ServiceWorkerGlobalScope;
const CACHE = "viva-1";
const ASKED = /^\/practice\/[^/]+\/\d+$/;
const PAGES_KEPT = 30;

self.addEventListener("install", () => void self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin || url.pathname.startsWith("/api/") || url.pathname === "/health") return;
  event.respondWith(url.pathname.startsWith("/static/") ? cacheFirst(event.request) : networkFirst(event.request));
});

async function cacheFirst(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request);
  if (kept) return kept;
  const fresh = await fetch(request);
  if (fresh.ok) await cache.put(request, fresh.clone());
  return fresh;
}
/** Keeps the last pages only; a cache lists its entries in the order in which they came. */
async function forget(cache: Cache): Promise<void> {
  const pages = (await cache.keys()).filter((kept) => ASKED.test(new URL(kept.url).pathname));
  for (const old of pages.slice(0, Math.max(0, pages.length - PAGES_KEPT))) await cache.delete(old);
}
async function networkFirst(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  try {
    const fresh = await fetch(request);
    // Only the page that is being answered needs to come back without a server.
    if (fresh.ok && !fresh.redirected && ASKED.test(new URL(request.url).pathname)) {
      await cache.put(request, fresh.clone());
      await forget(cache);
    }
    return fresh;
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}
export {};
