// Keeps the page for use without a network, and isolates it, so that WebAssembly may use threads.
const FILES = ["./"]; // written by `srfast export --web`
const CACHE = "srfast";

const isolated = (answer) => {
  if (!answer.ok || answer.type === "opaque") return answer;
  const headers = new Headers(answer.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
};

async function serve(request) {
  const cache = await caches.open(CACHE), kept = await cache.match(request, { ignoreSearch: true });
  if (kept) return isolated(kept);
  const answer = await fetch(request);
  if (answer.ok) await cache.put(request, answer.clone());
  return isolated(answer);
}

addEventListener("install", (event) => {
  skipWaiting();
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)));
});
addEventListener("activate", (event) => event.waitUntil(Promise.all([
  clients.claim(),
  caches.keys().then((names) => Promise.all(names.filter((name) => name.startsWith("srfast") && name !== CACHE).map((name) => caches.delete(name)))),
])));
addEventListener("fetch", (event) => {
  if (event.request.method === "GET" && new URL(event.request.url).origin === location.origin) event.respondWith(serve(event.request));
});
