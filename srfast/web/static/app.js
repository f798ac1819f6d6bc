// The page of srfast: images in, REST calls out, before and after. Nothing is loaded from another host.
"use strict";

const $ = (id) => document.getElementById(id);
const main = document.querySelector("main");
const AT_ONCE = 2; // images of this page that the server has at a time
const AGAIN = 5; // seconds until a server that is gone is looked for again
const BUSY = ["waiting", "sending", "queued", "running"];
const items = [];
let shown = null;

// ---------------------------------------------------------------- words

const number = (n) => n.toLocaleString("en");
const pixels = ([w, h]) => `${number(w)}\u00a0×\u00a0${number(h)}`;
const bytes = (n) => (n < 1e6 ? `${Math.max(1, Math.round(n / 1e3))}\u00a0kB` : `${(n / 1e6).toFixed(1)}\u00a0MB`);
const seconds = (s) => (s < 10 ? `${s.toFixed(1)}\u00a0s` : s < 90 ? `${Math.round(s)}\u00a0s` : `${Math.round(s / 60)}\u00a0min`);
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
const EXPIRED = "the server has deleted this image; upscale it again";
const BEGINS = { 413: "Too large: ", 415: "This image cannot be read: ", 422: "Invalid request: " };
const news = (text) => ($("news").textContent = text);

// ---------------------------------------------------------------- calls

async function call(path, options = {}) {
  const token = main.dataset.token && sessionStorage.getItem("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(path, { ...options, headers });
  if (answer.ok) return answer;
  let message = answer.statusText || "the server gave no reason";
  try { message = (await answer.json()).error; } catch { /* no JSON: the status must do */ }
  if (answer.status === 401) $("token")?.focus();
  if (answer.status === 404) message = EXPIRED;
  const error = new Error(sentence((BEGINS[answer.status] || "") + message));
  error.status = answer.status;
  error.wait = Number(answer.headers.get("Retry-After")) || 1;
  throw error;
}

const pause = (s) => new Promise((done) => setTimeout(done, s * 1000));
const say = (error) => (error.status ? error.message : "The server cannot be reached.");

// Asks until there is an answer: a busy server says when to come again, one that is gone is looked for.
async function insist(item, ask) {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (item.gone || (error.status && ![429, 503].includes(error.status))) throw error;
      const message = error.status ? "The server is busy." : say(error);
      news(`${item.file.name}: ${message}`);
      for (let left = error.wait || AGAIN; left > 0 && !item.gone; left--) {
        change(item, item.state, `${message} Next try in ${left} s.`);
        await pause(1);
      }
      if (item.gone) throw error;
    }
  }
}

async function fetchFile(path) {
  const answer = await call(path);
  const message = answer.headers.get("Content-Disposition");
  const long = /filename\*=utf-8''([^;]+)/i.exec(message), plain = /filename="([^"]+)"/.exec(message);
  return { url: URL.createObjectURL(await answer.blob()), name: long ? decodeURIComponent(long[1]) : plain[1] };
}

// ---------------------------------------------------------------- the list

function add(files) {
  for (const file of files) {
    const li = $("row").content.firstElementChild.cloneNode(true);
    const item = { file, li, url: URL.createObjectURL(file), state: "ready", job: null, made: {} };
    const part = (name) => li.querySelector(name);
    const thumb = part(".thumb");
    thumb.src = item.url;
    thumb.addEventListener("error", () => (thumb.hidden = true));
    part(".name").textContent = file.name || "pasted image";
    part(".show").setAttribute("aria-label", `Show ${file.name}`);
    part(".again").setAttribute("aria-label", `Upscale ${file.name} again, with the current settings`);
    part(".show").addEventListener("click", () => show(item));
    part(".again").title = "With the current settings";
    part(".again").addEventListener("click", () => $("ask").reportValidity() && start([item]));
    part(".drop").addEventListener("click", () => remove(item));
    $("list").append(li);
    items.push(item);
    if (file.size > Number(main.dataset.maxUpload)) {
      fail(item, `Too large: expected at most ${bytes(Number(main.dataset.maxUpload))}, got ${bytes(file.size)}.`);
    } else change(item, "ready");
  }
  if (files.length) news(files.length === 1 ? `${files[0].name} added.` : `${files.length} images added.`);
  tidy();
}

const failedBefore = (item) => item.state === "failed" && item.settings && item.status !== 415;
const mayAgain = (item) => item.state === "done" || failedBefore(item);

// What the large button does: what is new; else what is shown, with settings it has not had; else what has failed.
function chosen() {
  const ready = items.filter((item) => item.state === "ready");
  if (ready.length) return ready;
  const now = JSON.stringify(settings());
  const other = (item) => item.state === "done" && JSON.stringify(item.settings) !== now;
  return (shown ? [shown] : items).filter((item) => failedBefore(item) || other(item));
}

function tidy() {
  document.body.classList.toggle("busy", items.length > 0);
  $("pictures").hidden = !items.length;
  const next = chosen(), again = next.some(mayAgain);
  $("start").disabled = !next.length;
  $("start").textContent = next.length > 1 ? `Upscale ${next.length} images` : "Upscale";
  if (again) $("start").textContent += " again";
}

function describe(item) {
  const { job, file } = item;
  if (item.state !== "done") return bytes(file.size);
  const detail = job.detail ? `, detail ${job.detail}` : "", model = job.chosen ? `${job.model}: ${job.chosen}` : job.model;
  return `${pixels(job.size)} to ${pixels(job.result_size)} · ${bytes(job.bytes)} · ${seconds(job.seconds)} · ${model}${detail}`;
}

function change(item, state, message) {
  const words = { ready: "Ready", waiting: "Waiting", sending: "Sending", queued: "Waiting", running: "Working", done: "Done", failed: "" };
  const { li } = item;
  item.state = state;
  li.className = state + (item === shown ? " shown" : "");
  li.querySelector(".facts").textContent = describe(item);
  li.querySelector(".state").textContent = message === undefined ? words[state] : message;
  const bar = li.querySelector("progress");
  bar.hidden = !BUSY.includes(state);
  if (state === "running" && item.job.progress) bar.value = item.job.progress;
  else bar.removeAttribute("value");
  li.querySelector(".show").disabled = state !== "done";
  li.querySelector(".again").hidden = !mayAgain(item);
  if (item === shown) for (const button of $("takes").querySelectorAll("button")) button.disabled = state !== "done";
  const drop = li.querySelector(".drop"), name = item.file.name;
  drop.setAttribute("aria-label", bar.hidden ? `Remove ${name}` : `Cancel ${name}`);
  tidy();
}

function fail(item, message, status = 0) {
  item.status = status;
  change(item, "failed", message);
  news(`${item.file.name}: ${message}`);
}

// Removes an image from the server; the page keeps its own.
function forget(item) {
  if (item.job && item.status !== 404) call(`/api/jobs/${item.job.id}`, { method: "DELETE", keepalive: true }).catch(() => {});
  item.job = null;
  for (const file of Object.values(item.made)) URL.revokeObjectURL(file.url);
  item.made = {};
}

function remove(item) {
  const place = items.indexOf(item);
  items.splice(place, 1);
  item.gone = true;
  forget(item);
  URL.revokeObjectURL(item.url);
  item.li.remove();
  if (item === shown) hide();
  tidy();
  pump();
  const next = items[Math.min(place, items.length - 1)];
  (next ? next.li.querySelector(".drop") : $("choose")).focus();
}

// ---------------------------------------------------------------- work: one image is sent at a time, so that they keep their order

function settings() {
  const form = new FormData($("ask"));
  const switches = { consistent: form.has("consistent"), ensemble: form.has("ensemble") };
  const found = { model: form.get("model"), detail: form.get("detail") || "0", ...switches };
  return form.get("size") === "exact" ? { ...found, width: form.get("width"), height: form.get("height") } : { ...found, scale: form.get("size") };
}

function start(pictures) {
  for (const item of pictures) {
    forget(item);
    item.status = 0;
    item.settings = settings();
    change(item, "waiting");
  }
  pictures[0]?.li.scrollIntoView({ block: "nearest" });
  pump();
}

function pump() {
  const working = items.filter((item) => ["sending", "queued", "running"].includes(item.state));
  const item = items.find((item) => item.state === "waiting");
  if (!item || working.length >= AT_ONCE || working.some((item) => item.state === "sending")) return;
  item.state = "sending";
  enlarge(item).catch((error) => item.gone || fail(item, say(error), error.status)).finally(pump);
}

async function send(item) {
  await item.file.slice(0, 1).arrayBuffer().catch(() => {
    throw Object.assign(new Error("This cannot be read: a folder, or a file that has changed or gone."), { status: 415 });
  });
  const form = new FormData();
  for (const [name, value] of Object.entries(item.settings)) form.append(name, value);
  form.append("picture", item.file, item.file.name || "picture");
  change(item, "sending");
  return insist(item, async () => (await call("/api/jobs", { method: "POST", body: form })).json());
}

async function enlarge(item) {
  item.job = await send(item);
  if (item.gone) return forget(item);
  const { id } = item.job;
  for (let wait = 0.15; ; wait = Math.min(1, wait * 1.3)) {
    tell(item);
    pump();
    if (["done", "failed"].includes(item.job.state)) break;
    await pause(wait);
    const now = item.gone || await insist(item, async () => (await call(`/api/jobs/${id}`)).json());
    if (item.gone) return;
    item.job = now;
  }
  if (item.job.state === "failed") return fail(item, sentence((BEGINS[item.job.status] || "") + item.job.error), item.job.status);
  const file = await insist(item, () => fetchFile(`/api/jobs/${id}/result`));
  item.made[item.job.formats[0]] = file;
  if (item.gone) return forget(item);
  change(item, "done");
  news(`${item.file.name} is done: ${pixels(item.job.result_size)} in ${seconds(item.job.seconds)}.`);
  if (shown && shown !== item) return;
  const first = !shown;
  show(item, false);
  if (first) $("viewer").scrollIntoView({ block: "nearest" });
}

function tell(item) {
  const { state, position, progress, left } = item.job;
  if (state === "queued") change(item, "queued", position > 1 ? `Waiting, number ${position} in the queue` : "Waiting, next in the queue");
  if (state === "running") {
    const rest = left === null ? "" : left < 1 ? ", nearly done" : `, about ${seconds(Math.ceil(left))} left`;
    change(item, "running", progress ? `${Math.round(progress * 100)} %${rest}` : "Working");
  }
}

// ---------------------------------------------------------------- before and after

const view = { zoom: 1, fit: 1, x: 0, y: 0, cut: 50, w: 1, h: 1 };
const stage = $("stage");

function show(item, jump = true) {
  if (shown) shown.li.classList.remove("shown");
  shown = item;
  item.li.classList.add("shown");
  $("viewer").hidden = false;
  $("shown-name").textContent = item.file.name;
  $("shown-facts").textContent = describe(item);
  const said = $("unseen-note");
  said.hidden = true;
  [view.w, view.h] = item.job.result_size;
  $("before-img").hidden = false;
  $("before-img").onerror = () => ($("before-img").hidden = true);
  $("after-img").onerror = () => {
    said.textContent = "A browser cannot show this kind of file. The result can be downloaded below.";
    said.hidden = false;
  };
  $("before-img").src = item.url;
  $("after-img").src = item.made[item.job.formats[0]].url;
  $("before-img").alt = `${item.file.name} before`;
  $("after-img").alt = `${item.file.name} upscaled`;
  for (const img of [$("before-img"), $("after-img")]) [img.width, img.height] = [view.w, view.h];
  stage.style.aspectRatio = `${view.w} / ${view.h}`;
  offer(item);
  warn("");
  cut(50);
  fit();
  if (jump) {
    $("viewer").focus({ preventScroll: true });
    $("viewer").scrollIntoView({ block: "nearest" });
  }
}

function hide() {
  shown = null;
  $("viewer").hidden = true;
  const next = items.find((item) => item.state === "done");
  if (next) show(next, false);
}

function cut(percent) {
  view.cut = Math.min(100, Math.max(0, percent));
  stage.style.setProperty("--cut", `${view.cut}%`);
  $("cut").value = view.cut;
  $("cut").setAttribute("aria-valuetext", `${Math.round(view.cut)} % before, ${Math.round(100 - view.cut)} % after`);
}

function place() {
  const { clientWidth: w, clientHeight: h } = stage;
  const inside = (at, side, room) => (side <= room ? (room - side) / 2 : Math.min(0, Math.max(room - side, at)));
  view.x = inside(view.x, view.w * view.zoom, w);
  view.y = inside(view.y, view.h * view.zoom, h);
  for (const img of [$("before-img"), $("after-img")]) img.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`;
  stage.classList.toggle("zoomed", view.zoom > view.fit * 1.001);
}

function fit() {
  view.fit = Math.min(stage.clientWidth / view.w, stage.clientHeight / view.h);
  view.zoom = view.fit;
  place();
}

function zoom(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const before = view.zoom;
  view.zoom = Math.min(Math.max(8, view.fit), Math.max(Math.min(view.fit, 1), before * factor));
  view.x = x - (x - view.x) * (view.zoom / before);
  view.y = y - (y - view.y) * (view.zoom / before);
  place();
}

const zooms = { in: () => zoom(1.5), out: () => zoom(1 / 1.5), fit, full: () => zoom(1 / (view.zoom * devicePixelRatio)) };
for (const button of document.querySelectorAll("[data-zoom]")) button.addEventListener("click", zooms[button.dataset.zoom]);
$("cut").addEventListener("input", () => cut(Number($("cut").value)));

$("viewer").addEventListener("keydown", (event) => {
  const keys = { "+": zooms.in, "=": zooms.in, "-": zooms.out, 0: fit, 1: zooms.full };
  const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.shiftKey && moves[event.key]) {
    view.x += moves[event.key][0];
    view.y += moves[event.key][1];
    place();
  } else if (keys[event.key]) keys[event.key]();
  else return;
  event.preventDefault();
});

// One finger or the mouse: the border, or the image where it is larger than the window. Two fingers: zoom.
const touches = new Map();
let drags = null;

stage.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  const box = stage.getBoundingClientRect();
  const near = Math.abs(event.clientX - box.left - (box.width * view.cut) / 100) < 28;
  stage.setPointerCapture(event.pointerId);
  touches.set(event.pointerId, event);
  drags = near || !stage.classList.contains("zoomed") ? "cut" : "picture";
  if (drags === "cut") cut(((event.clientX - box.left) / box.width) * 100);
  $("cut").focus({ preventScroll: true });
  event.preventDefault();
});

stage.addEventListener("pointermove", (event) => {
  const last = touches.get(event.pointerId);
  if (!last) return;
  const box = stage.getBoundingClientRect();
  const other = [...touches.values()].find((touch) => touch.pointerId !== event.pointerId);
  touches.set(event.pointerId, event);
  if (other) {
    const apart = (a, b) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1;
    zoom(apart(event, other) / apart(last, other), (event.clientX + other.clientX) / 2 - box.left, (event.clientY + other.clientY) / 2 - box.top);
  } else if (drags === "cut") cut(((event.clientX - box.left) / box.width) * 100);
  else {
    view.x += event.clientX - last.clientX;
    view.y += event.clientY - last.clientY;
    place();
  }
});

for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (event) => touches.delete(event.pointerId));
stage.addEventListener("dblclick", () => (stage.classList.contains("zoomed") ? fit() : zooms.full()));
stage.addEventListener("wheel", (event) => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  const box = stage.getBoundingClientRect();
  zoom(Math.exp(-event.deltaY / 200), event.clientX - box.left, event.clientY - box.top);
}, { passive: false });
new ResizeObserver(() => (stage.classList.contains("zoomed") ? place() : fit())).observe(stage);

// ---------------------------------------------------------------- download

const TITLES = { png: "PNG", jpeg: "JPEG", webp: "WebP", tiff: "TIFF", gif: "GIF" };

function offer(item) {
  const wanted = item.job.formats.filter((name, place) => !["tiff", "gif"].includes(name) || place === 0 || (name === "gif" && item.job.frames > 1));
  $("takes").replaceChildren($("takes").firstElementChild, ...wanted.map((name) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "button", textContent: TITLES[name] });
    button.addEventListener("click", () => download(item, name, button));
    return button;
  }));
}

// What was fetched once needs no server any more.
async function download(item, format, button) {
  button.disabled = true;
  let message = "";
  try {
    item.made[format] ||= await fetchFile(`/api/jobs/${item.job.id}/result?format=${format}`);
    const link = document.createElement("a");
    link.href = item.made[format].url;
    link.download = item.made[format].name;
    link.click();
    news(`${link.download} downloaded.`);
  } catch (error) {
    message = say(error);
    news(message);
  }
  button.disabled = false;
  if (item === shown) warn(message);
}

function warn(message) {
  $("take-note").textContent = message;
  $("take-note").hidden = !message;
}

// ---------------------------------------------------------------- adding images

$("choose").addEventListener("change", () => {
  add([...$("choose").files]);
  $("choose").value = "";
});
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  start(chosen());
});

// Only what can be seen is asked for: a width, a height, or both; detail where the model has it.
function fields() {
  $("exact").hidden = $("exact").disabled = !document.querySelector("[value=exact]").checked;
  $("width").required = !$("height").value;
  $("details").hidden = $("detail").disabled = !$("model").selectedOptions[0].dataset.detail;
  const { value } = $("detail");
  $("detail-shown").textContent = value;
  $("detail").setAttribute("aria-valuetext", value + ({ 0: ", faithful", 1: ", sharp" }[value] || ""));
  tidy();
}
$("ask").addEventListener("input", fields);

document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files || [])];
  if (!files.length) return;
  event.preventDefault();
  add(files);
});

let depth = 0;
const over = (change) => document.body.classList.toggle("over", (depth = Math.max(0, depth + change)) > 0);
addEventListener("dragenter", (event) => { event.preventDefault(); over(1); });
addEventListener("dragleave", () => over(-1));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  over(-depth);
  add([...event.dataTransfer.files]);
});

// Leaving while images are in progress asks first; then they are removed from the server.
addEventListener("beforeunload", (event) => items.some((item) => BUSY.includes(item.state)) && event.preventDefault());
addEventListener("pagehide", (event) => event.persisted || items.forEach(forget));

if ($("token")) {
  $("token").value = sessionStorage.getItem("token") || "";
  $("token").addEventListener("input", () => sessionStorage.setItem("token", $("token").value));
}
fields();
