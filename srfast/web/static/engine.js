// Upscales images in a worker with ONNX Runtime Web: tiles with overlap, as srfast does in Python.
const here = new URL("./", import.meta.url);
const models = fetch(new URL("models/models.json", here)).then((answer) => answer.json());
const stopped = new Set();
const sessions = new Map();
const TILE = 128; // LR pixels, without overlap
let runtime = null;

class RequestError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// ---------------------------------------------------------------- networks

// WebGPU where there is an adapter, else WebAssembly: with threads where the page is isolated, as they need shared memory.
async function load(gpu) {
  const ort = await import(new URL(`ort/ort.${gpu ? "webgpu" : "wasm"}.min.mjs`, here));
  ort.env.wasm.wasmPaths = new URL("ort/", here).href;
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, 8) : 1;
  ort.env.logLevel = "error";
  return { ort, gpu };
}

async function start() {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return load(Boolean(adapter));
}

async function open(entry) {
  if (sessions.has(entry.file)) return sessions.get(entry.file);
  runtime ||= start();
  const answer = await fetch(new URL(entry.file, here));
  if (!answer.ok) throw new RequestError(503, `the model ${entry.file} cannot be loaded; reload the page`);
  const data = new Uint8Array(await answer.arrayBuffer());
  const create = ({ ort, gpu }) => ort.InferenceSession.create(data, { executionProviders: gpu ? ["webgpu", "wasm"] : ["wasm"] });
  let session;
  try {
    session = await create(await runtime);
  } catch (error) {
    if (!(await runtime).gpu) throw error;
    runtime = load(false); // a GPU that cannot run the model
    session = await create(await runtime);
  }
  sessions.set(entry.file, session);
  return session;
}

// The factors to apply in turn: a product of at least `wanted`, as few and as small as possible.
function planScales(wanted, scales) {
  if (wanted <= 1) return [];
  const product = (plan) => plan.reduce((a, b) => a * b, 1);
  const plans = scales.flatMap((a) => [[a], ...scales.filter((b) => b <= a).map((b) => [a, b])]);
  const enough = plans.filter((plan) => product(plan) >= wanted);
  if (!enough.length) return Array(Math.ceil(Math.log(wanted) / Math.log(Math.max(...scales)))).fill(Math.max(...scales));
  return enough.sort((a, b) => a.length - b.length || product(a) - product(b))[0];
}

// ---------------------------------------------------------------- tiles

const roundUp = (n, multiple) => Math.ceil(n / multiple) * multiple;

// A region of an image as (1, 3, H, W) in [0, 1]; sides below what the model takes repeat the last row and column.
function cut({ data, width }, channels, [top, bottom, left, right], low) {
  const h = Math.max(bottom - top, low), w = Math.max(right - left, low), values = new Float32Array(3 * h * w);
  for (let c = 0, to = 0; c < 3; c++) {
    for (let y = 0; y < h; y++) {
      const row = Math.min(top + y, bottom - 1) * width;
      for (let x = 0; x < w; x++) values[to++] = data[(row + Math.min(left + x, right - 1)) * 4 + channels[c]] / 255;
    }
  }
  return [values, h, w];
}

async function runTile(session, values, h, w) {
  const { ort } = await runtime;
  const { sr } = await session.run({ lr_imgs: new ort.Tensor("float32", values, [1, 3, h, w]) });
  const result = await sr.getData();
  sr.dispose();
  return result;
}

// Writes the part of a tile that belongs to `box` into the channels of `out`; three equal channels are averaged into one.
function paste(out, sr, [h, w], scale, region, box, channels) {
  const [top, bottom, left, right] = box.map((n) => n * scale), plane = h * w * scale * scale, grey = channels[0] === channels[1];
  for (let y = top; y < bottom; y++) {
    let from = (y - region[0] * scale) * w * scale + left - region[2] * scale, to = (y * out.width + left) * 4;
    for (let x = left; x < right; x++, from++, to += 4) {
      if (grey) out.data[to + channels[0]] = ((sr[from] + sr[from + plane] + sr[from + 2 * plane]) / 3) * 255;
      else for (let c = 0; c < 3; c++) out.data[to + channels[c]] = sr[from + c * plane] * 255;
    }
  }
}

// Yields for each tile its box and the box with margin, begun on the network's grid.
function* boxes(width, height, { overlap, multiple_of: grid, min_size: low }) {
  const tile = roundUp(TILE, grid);
  const begin = (a, side) => Math.floor(Math.max(Math.min(a - overlap, side - low), 0) / grid) * grid;
  for (let y = 0; y < height; y += tile) {
    for (let x = 0; x < width; x += tile) {
      const box = [y, Math.min(y + tile, height), x, Math.min(x + tile, width)];
      yield [box, [begin(y, height), Math.min(box[1] + overlap, height), begin(x, width), Math.min(box[3] + overlap, width)]];
    }
  }
}

async function enlarge(img, entry, scale, passes, onTile) {
  const session = await open(entry);
  const out = new ImageData(img.width * scale, img.height * scale);
  if (passes.length === 1) for (let i = 3; i < out.data.length; i += 4) out.data[i] = 255;
  for (const channels of passes) {
    for (const [box, region] of boxes(img.width, img.height, entry)) {
      const [values, h, w] = cut(img, channels, region, entry.min_size);
      paste(out, await runTile(session, values, h, w), [h, w], scale, region, box, channels);
      onTile();
    }
  }
  return out;
}

const countTiles = (width, height, scales, passes) => scales.reduce(([n, w, h], scale) => {
  return [n + passes * Math.ceil(w / TILE) * Math.ceil(h / TILE), w * scale, h * scale];
}, [0, width, height])[0];

// ---------------------------------------------------------------- images

async function decode(file) {
  if (self.ImageDecoder && await ImageDecoder.isTypeSupported(file.type).catch(() => false)) {
    const decoder = new ImageDecoder({ data: file.stream(), type: file.type });
    await decoder.completed.catch(() => {});
    const frames = decoder.tracks.selectedTrack?.frameCount || 1;
    decoder.close();
    if (frames > 1) throw new RequestError(415, "this page upscales single images, and this is an animation; use srfast itself: pip install srfast");
  }
  try {
    return await createImageBitmap(file, { premultiplyAlpha: "none" });
  } catch {
    throw new RequestError(415, "this browser cannot read the file as an image");
  }
}

function pixelsOf(bitmap) {
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

function isTransparent({ data }) {
  for (let i = 3; i < data.length; i += 4) if (data[i] !== 255) return true;
  return false;
}

// Gives clear pixels the colour of their neighbours, ring by ring, so that no dark rim appears along edges.
function bleed({ data, width, height }, rings = 24) {
  let known = Uint8Array.from({ length: width * height }, (_, i) => data[4 * i + 3] > 0);
  for (let ring = 0; ring < rings; ring++) {
    const next = known.slice();
    for (let i = 0; i < known.length; i++) {
      if (known[i]) continue;
      const x = i % width;
      const near = [x > 0 && i - 1, x < width - 1 && i + 1, i >= width && i - width, i < known.length - width && i + width]
        .filter((j) => j !== false && known[j]);
      if (!near.length) continue;
      for (let c = 0; c < 3; c++) data[4 * i + c] = near.reduce((sum, j) => sum + data[4 * j + c], 0) / near.length;
      next[i] = 1;
    }
    known = next;
  }
}

function resized(img, width, height) {
  if (img.width === width && img.height === height) return toCanvas(img);
  const canvas = new OffscreenCanvas(width, height), context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(toCanvas(img), 0, 0, width, height);
  return canvas;
}

function toCanvas(img) {
  const canvas = new OffscreenCanvas(img.width, img.height);
  canvas.getContext("2d").putImageData(img, 0, 0);
  return canvas;
}

const TYPES = { png: "image/png", jpeg: "image/jpeg", webp: "image/webp" };

async function encode(canvas, format) {
  const blob = await canvas.convertToBlob({ type: TYPES[format], quality: 0.95 });
  if (blob.type !== TYPES[format]) throw new RequestError(422, `format: this browser cannot write ${format}`);
  return blob;
}

// ---------------------------------------------------------------- jobs

function targetSize(width, height, { scale, width: w, height: h }) {
  if (w && h) return [Number(w), Number(h)];
  if (w) return [Number(w), Math.max(1, Math.round((height * w) / width))];
  if (h) return [Math.max(1, Math.round((width * h) / height)), Number(h)];
  return [Math.round(width * scale), Math.round(height * scale)];
}

const number = (n) => n.toLocaleString("en");

function checkSize([w, h], { width, height }, most) {
  if (!(w >= 1 && h >= 1 && w <= 16 * width && h <= 16 * height)) {
    throw new RequestError(422, `expected a result of 1 x 1 to ${16 * width} x ${16 * height} pixels, got ${w} x ${h}`);
  }
  if (w * h > most) throw new RequestError(413, `expected a result of at most ${number(most)} pixels, got ${w} x ${h}; choose a smaller size`);
}

async function look(id, file, settings, limits) {
  const bitmap = await decode(file), size = [bitmap.width, bitmap.height], known = (await models)[settings.model];
  if (bitmap.width * bitmap.height > limits.in) throw new RequestError(413, `expected at most ${number(limits.in)} pixels, got ${size.join(" x ")}`);
  const result = targetSize(...size, settings);
  checkSize(result, bitmap, limits.out);
  const img = pixelsOf(bitmap), clear = isTransparent(img), own = { "image/jpeg": "jpeg", "image/webp": "webp" }[file.type] || "png";
  bitmap.close();
  const formats = [...new Set([own, "png", clear ? "webp" : "jpeg", "webp"])].filter((name) => !(clear && name === "jpeg"));
  return { img, clear, known, size, result, formats };
}

async function work({ id, file, settings, limits }) {
  const { img, clear, known, size, result, formats } = await look(id, file, settings, limits);
  const restores = settings.model === "photo_real", factor = Math.max(result[0] / size[0], result[1] / size[1]);
  const scales = Object.keys(known).map(Number);
  const plan = factor <= 1 && restores ? [Math.min(...scales)] : planScales(factor, scales);
  postMessage({ id, size, result_size: result, formats });
  const passes = clear ? [[0, 1, 2], [3, 3, 3]] : [[0, 1, 2]], total = countTiles(...size, plan, passes.length), began = performance.now();
  if (clear) bleed(img);
  let large = img, done = 0;
  for (const scale of plan) {
    large = await enlarge(large, known[scale], scale, passes, () => {
      if (stopped.has(id)) throw new RequestError(404, "stopped");
      const progress = ++done / total;
      postMessage({ id, progress, left: ((performance.now() - began) / 1000) * (1 / progress - 1) });
    });
  }
  const canvas = resized(large, ...result);
  return { canvas, formats };
}

const canvases = new Map();
let last = Promise.resolve();

async function answer({ id, task, format, ...job }) {
  try {
    if (task === "convert") return { blob: await encode(canvases.get(id), format) };
    const { canvas, formats } = await work({ id, ...job });
    canvases.set(id, canvas);
    return { blob: await encode(canvas, formats[0]) };
  } catch (error) {
    return { status: error.status || 500, error: error.message || "the image could not be upscaled" };
  }
}

// One image at a time, in the order they came.
onmessage = ({ data }) => {
  if (data.task === "forget") {
    stopped.add(data.id);
    canvases.delete(data.id);
    return;
  }
  last = last.then(async () => {
    if (stopped.has(data.id)) return;
    if (data.task === "upscale") postMessage({ id: data.id, state: "running" });
    postMessage({ id: data.id, ask: data.ask, ended: true, ...(await answer(data)) });
  });
};
