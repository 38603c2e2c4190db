// The page: loads the two networks, takes a picture, a video or the camera, and shows a verdict on every face.

import {chooseFaces, cutFace, fitForDetector, turned, turnedBack, verdictsOn} from "./face.js";

const LONG_SIDE = 320;
const QUARTERS = [1, 3, 2]; // Clockwise turns in which faces are looked for where none is certain: on the sides, on the head.
const TURN_EVERY_MS = 1000;
const WORDS = {
  fake: "looks forged",
  inconclusive: "cannot tell",
  real: "no sign of forgery",
  doubtful: "may not be a face",
  small: "too small to judge",
};
const byId = (id) => document.getElementById(id);
const [canvas, video, status, list] = ["view", "video", "status", "verdicts"].map(byId);
const context = canvas.getContext("2d", {willReadFrequently: true});
const colours = getComputedStyle(document.documentElement); // One for each verdict, by its name.
let networks;
let source = 0; // Counts what was opened; an older loop ends when it is no longer its turn.
let nextTurn = 0; // When a frame without a certain face is searched turned again.

/** Fetches a file and holds it against the hash in model.json, where the browser can hash. */
async function fetchModel({file, sha256}) {
  const answer = await fetch(file);
  if (!answer.ok) throw new Error(`${file}: ${answer.status} ${answer.statusText}. Keep it beside this page.`);
  const bytes = await answer.arrayBuffer();
  if (globalThis.crypto?.subtle) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    if (found !== sha256) throw new Error(`${file}: not the file that model.json speaks of. Export this folder again.`);
  }
  return new Uint8Array(bytes);
}

async function load() {
  let ort;
  try {
    ort = await import("./ort/ort.wasm.min.mjs");
  } catch {
    throw new Error("onnxruntime-web is not in the folder ort. README.md tells how to put it there.");
  }
  ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
  ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency ?? 1) : 1;
  const about = await (await fetch("model.json")).json();
  const open = async (entry) => ort.InferenceSession.create(await fetchModel(entry));
  networks = {ort, about, detector: await open(about.detector), classifier: await open(about.classifier)};
  byId("about").textContent = `${about.classifier.name} · ${about.classifier.precision} · everything stays on this device`;
}

/** Returns the faces of a picture as it stands. */
async function detect(picture) {
  const {ort, about, detector} = networks;
  const fitted = fitForDetector(picture, LONG_SIDE);
  const canvasTensor = new ort.Tensor("uint8", fitted.data, [1, fitted.height, fitted.width, 3]);
  const found = await detector.run({image: canvasTensor});
  return chooseFaces(found.scores.data, found.boxes_xyxy.data, found.landmarks.data, fitted, picture, about.detector);
}

/** Returns the faces of a picture. One that shows none for certain is searched sideways and upside down too. */
async function findFaces(picture) {
  const isCertain = (face) => face.score >= networks.about.detector.certain_score;
  const faces = await detect(picture);
  if (faces.some(isCertain) || performance.now() < nextTurn) return faces;
  for (const quarters of QUARTERS) {
    const certain = (await detect(turned(picture, quarters))).filter(isCertain);
    if (certain.length) return certain.map((face) => turnedBack(face, picture, quarters));
  }
  nextTurn = performance.now() + TURN_EVERY_MS;
  return faces;
}

/** Returns the faces of a picture with their fake probabilities and verdicts. */
async function judge(picture) {
  const {ort, about, classifier} = networks;
  const faces = await findFaces(picture);
  const side = about.classifier.crop.side_px;
  for (const face of faces) {
    const crop = new ort.Tensor("uint8", cutFace(picture, face.box, about.classifier.crop, face.landmarks), [1, 3, side, side]);
    face.probability = (await classifier.run({image: crop})).fake_probability.data[0];
  }
  const verdicts = verdictsOn(faces, about);
  return faces.map((face, place) => ({...face, verdict: verdicts[place]}));
}

/** Draws a picture, judges it and shows what was found. */
async function show(drawable, width, height) {
  canvas.width = width;
  canvas.height = height;
  context.drawImage(drawable, 0, 0, width, height);
  const started = performance.now();
  const faces = await judge(context.getImageData(0, 0, width, height));
  const pen = Math.max(2, Math.round(Math.max(width, height) / 300));
  faces.forEach((face, place) => {
    const [left, top, right, bottom] = face.box;
    context.lineWidth = pen;
    context.strokeStyle = colours.getPropertyValue(`--${face.verdict}`);
    context.strokeRect(left, top, right - left, bottom - top);
    context.fillStyle = context.strokeStyle;
    context.font = `${pen * 8}px system-ui, sans-serif`;
    context.fillText(`${place + 1}`, left, top - pen * 2);
  });
  list.replaceChildren(...faces.map(verdictLine));
  const took = Math.round(performance.now() - started);
  say(faces.length ? `${faces.length} face${faces.length > 1 ? "s" : ""}, ${took} ms` : `No face found, ${took} ms`);
}

function verdictLine(face) {
  const {threshold, fake_thresholds: fakeThresholds} = networks.about.classifier;
  const line = document.createElement("li");
  line.className = face.verdict;
  const word = document.createElement("strong");
  word.textContent = WORDS[face.verdict];
  line.append(word);
  if (!["fake", "inconclusive", "real"].includes(face.verdict)) return line;
  const share = document.createElement("span");
  share.textContent = `${(face.probability * 100).toFixed(1)} % fake`;
  const bar = document.createElement("meter");
  // Green up to the threshold, red from where one person alone is called fake.
  Object.assign(bar, {min: 0, max: 1, low: threshold, high: fakeThresholds[0], optimum: 0, value: face.probability});
  line.append(share, bar);
  return line;
}

function say(text, isError = false) {
  status.textContent = text;
  status.classList.toggle("error", isError);
}

/** Stops what plays, and tells whoever still works on it. */
function takeTurn() {
  nextTurn = 0;
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
  video.removeAttribute("src");
  return ++source;
}

async function openFile(file) {
  const turn = takeTurn();
  if (file.type.startsWith("image/")) {
    const picture = await createImageBitmap(file);
    await show(picture, picture.width, picture.height);
  } else {
    video.src = URL.createObjectURL(file);
    await follow(turn);
    URL.revokeObjectURL(video.src);
  }
}

async function openCamera() {
  const turn = takeTurn();
  video.srcObject = await navigator.mediaDevices.getUserMedia({video: {width: {ideal: 1280}}});
  await follow(turn);
}

/** Judges frames for as long as the video plays and nothing else was opened. */
async function follow(turn) {
  await video.play();
  while (turn === source && !video.ended) {
    if (video.videoWidth) await show(video, video.videoWidth, video.videoHeight);
    await new Promise((next) => requestAnimationFrame(next));
  }
}

/** Runs a step once the networks are there; shows what went wrong. */
async function attempt(step) {
  try {
    await step();
  } catch (error) {
    say(error.message, true);
  }
}

await attempt(async () => {
  say("Loading the networks …");
  await load();
  say("Choose a picture or a video, or drop one here.");
  byId("file").disabled = byId("camera").disabled = false;
});
byId("file").addEventListener("change", ({target}) => target.files[0] && attempt(() => openFile(target.files[0])));
byId("camera").addEventListener("click", () => attempt(openCamera));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  if (networks && event.dataTransfer.files[0]) attempt(() => openFile(event.dataTransfer.files[0]));
});
