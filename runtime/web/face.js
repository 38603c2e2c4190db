// Pictures -> what the two networks take, and boxes out of what the detector gives. The same steps as the Python
// runtime's detector.py, boxes.py and crop.py in faces/; nothing here touches the page, so that it can be tested without a
// browser.
//
// A picture is {data, width, height}; data holds RGBA bytes, as ImageData does.

const UPRIGHT_TO_DEG = 20;
const LEAST_OF_BOX = 0.1;
const FINEST = 2;

/** Returns the square, in whole pixels, that is cut around a box: [left, top, right, bottom]. */
export function squareAround([left, top, right, bottom], margin) {
  const side = Math.max(1, roundHalfToEven(Math.max(right - left, bottom - top) * (1 + 2 * margin)));
  const x = roundHalfToEven((left + right - side) / 2);
  const y = roundHalfToEven((top + bottom - side) / 2);
  return [x, y, x + side, y + side];
}

/**
 * Returns a face as 3 planes of side x side bytes, red, green, blue. The border is mirrored beyond the picture.
 *
 * A face that its five landmarks, x and y in turn, show tilted by more than 20 degrees is turned upright.
 */
export function cutFace(picture, boxXyxy, {side_px: side, margin}, landmarks = []) {
  const [x0, y0, x1, y1] = squareAround(boxXyxy, margin);
  const turn = turnDegrees(boxXyxy, landmarks);
  if (!turn) return planes(cut(picture, [x0, y0, x1, y1], side));
  const length = x1 - x0;
  const room = Math.ceil(0.2072 * length) + 1;
  const whole = length + 2 * room;
  const wholePx = roundHalfToEven(whole * Math.min(1, (FINEST * side) / length));
  const around = cut(picture, [x0 - room, y0 - room, x1 + room, y1 + room], wholePx);
  const span = (length * wholePx) / whole;
  const fine = Math.max(side, roundHalfToEven(span));
  const turned = {data: turnedSquare(around, wholePx, fine, span, turn), width: fine, height: fine};
  return planes(cut(turned, [0, 0, fine, fine], side));

  function planes({data}) {
    const bytes = new Uint8Array(3 * side * side);
    for (let at = 0; at < side * side; at++) {
      for (let colour = 0; colour < 3; colour++) bytes[colour * side * side + at] = data[at * 4 + colour];
    }
    return bytes;
  }
}

/** Returns how far to turn a face anticlockwise, in whole degrees; 0 for not at all. */
export function turnDegrees([left, top, right, bottom], landmarks) {
  if (landmarks.length !== 10 || !landmarks.every(Number.isFinite)) return 0;
  const mean = (axis, ...points) => points.reduce((sum, point) => sum + landmarks[2 * point + axis], 0) / points.length;
  const [x, y] = [0, 1].map((axis) => mean(axis, 3, 4) - mean(axis, 0, 1));
  if (Math.hypot(x, y) < LEAST_OF_BOX * Math.max(right - left, bottom - top)) return 0;
  const degrees = roundHalfToEven((Math.atan2(-x, y) * 180) / Math.PI);
  return Math.abs(degrees) > UPRIGHT_TO_DEG ? degrees : 0;
}

/** Returns a square of the picture, scaled to side x side. */
function cut(picture, [x0, y0, x1, y1], side) {
  const columns = mirrored(x0, x1 - x0, picture.width);
  const rows = mirrored(y0, y1 - y0, picture.height);
  const taps = areaTaps(x1 - x0, side);
  const values = x1 - x0 > side ? shrink(picture, columns, rows, taps, taps) : interpolate(picture, columns, rows, side, side);
  const data = new Uint8Array(4 * side * side);
  values.forEach((value, at) => (data[Math.floor(at / 3) * 4 + (at % 3)] = clampByte(value)));
  return {data, width: side, height: side};
}

/** Returns a turned square out of a picture's middle, interpolated at 32nds of a pixel as OpenCV does. */
function turnedSquare(picture, wholePx, count, span, degrees) {
  const [cosine, sine] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  const steps = range(count).map((place) => ((place + 0.5) / count - 0.5) * span);
  const data = new Uint8Array(4 * count * count);
  const inside = (place) => Math.min(Math.max(place, 0), wholePx - 1);
  steps.forEach((along, row) => {
    steps.forEach((across, column) => {
      const x = roundHalfToEven(Math.fround(across * cosine - along * sine + (wholePx - 1) / 2) * 32);
      const y = roundHalfToEven(Math.fround(along * cosine + across * sine + (wholePx - 1) / 2) * 32);
      const [right, below] = [x & 31, y & 31];
      const [columns, rows] = [[x >> 5, (x >> 5) + 1], [y >> 5, (y >> 5) + 1]].map((pair) => pair.map(inside));
      for (let colour = 0; colour < 3; colour++) {
        const at = (down, over) => picture.data[(rows[down] * wholePx + columns[over]) * 4 + colour];
        const above = (32 - right) * at(0, 0) + right * at(0, 1);
        const under = (32 - right) * at(1, 0) + right * at(1, 1);
        data[(row * count + column) * 4 + colour] = ((32 - below) * above + below * under + 512) >> 10;
      }
    });
  });
  return data;
}

/**
 * Shrinks a picture so that its long side fits and pads it with black to whole cells of 32 px.
 *
 * Halved until the rest is a factor below two, as tinydf-run does. Returns rows of blue, green, red bytes, their sizes, and
 * how much x and y were scaled.
 */
export function fitForDetector(picture, longSide) {
  let scale = 1;
  while (Math.max(picture.width, picture.height) >= 2 * longSide && Math.min(picture.width, picture.height) > 1) {
    picture = halved(picture);
    scale /= 2;
  }
  const factor = Math.min(1, longSide / Math.max(picture.width, picture.height));
  const width = Math.max(1, roundHalfToEven(picture.width * factor));
  const height = Math.max(1, roundHalfToEven(picture.height * factor));
  const small = interpolate(picture, range(picture.width), range(picture.height), width, height);
  const [paddedWidth, paddedHeight] = [wholeCells(width), wholeCells(height)];
  const data = new Uint8Array(paddedWidth * paddedHeight * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let colour = 0; colour < 3; colour++) {
        data[(y * paddedWidth + x) * 3 + colour] = clampByte(small[(y * width + x) * 3 + 2 - colour]);
      }
    }
  }
  const [scaleX, scaleY] = [(scale * width) / picture.width, (scale * height) / picture.height];
  return {data, width: paddedWidth, height: paddedHeight, scaleX, scaleY};
}

/** Returns the faces among the detector's candidates, best first: [{box, landmarks, score}] in pixels of the picture. */
export function chooseFaces(scores, boxes, landmarks, fitted, picture, {score_threshold: lowest, nms_iou: overlap}) {
  const candidates = [];
  scores.forEach((score, row) => {
    const unscaled = (value, place) => value / (place % 2 ? fitted.scaleY : fitted.scaleX);
    const box = Array.from(boxes.slice(row * 4, row * 4 + 4), unscaled);
    const hasArea = box[2] > box[0] && box[3] > box[1] && box.every(Number.isFinite);
    const onPicture = box[0] < picture.width && box[1] < picture.height && box[2] > 0 && box[3] > 0;
    if (score >= lowest && hasArea && onPicture) {
      const points = Array.from(landmarks.slice(row * 10, row * 10 + 10), unscaled);
      candidates.push({box, landmarks: points, score: Math.min(score, 1)});
    }
  });
  candidates.sort((one, other) => other.score - one.score);
  const kept = [];
  for (const candidate of candidates) {
    if (kept.every((better) => shareOfUnion(better.box, candidate.box) <= overlap)) kept.push(candidate);
  }
  return kept;
}

/**
 * Returns the verdict on each face of a picture, as the runtime's verdict/aggregate.py gives it: "real", "inconclusive" or
 * "fake"; "doubtful" where it may be no face, "small" where it is too small to be judged, itself or beside others.
 *
 * Thresholds go by the number of people judged, from 1 on; the last one serves for more. A small face shows little, so it
 * must score further below the threshold to be called real.
 */
export function verdictsOn(faces, {classifier, detector}) {
  const {full_px: fullPx, least_px: leastPx, least_share: leastShare, logits_to_clear: toClear} = classifier.sizes;
  const areas = faces.map((face) => Math.min(longerSide(face), fullPx) ** 2);
  const isJudged = faces.map((face) => face.score >= detector.certain_score && longerSide(face) >= leastPx);
  const least = leastShare * Math.max(...areas.filter((_, place) => isJudged[place]));
  const people = areas.filter((area, place) => isJudged[place] && area >= least).length;
  const forPeople = (thresholds) => thresholds[Math.min(people, thresholds.length) - 1];
  return faces.map((face, place) => {
    if (face.score < detector.certain_score) return "doubtful";
    if (!isJudged[place] || areas[place] < least) return "small";
    if (face.probability >= forPeople(classifier.fake_thresholds)) return "fake";
    const below = logit(classifier.threshold) - logit(face.probability);
    const isClear = below >= toClear * Math.max(0, 1 - longerSide(face) / fullPx);
    return isClear && face.probability < forPeople(classifier.real_thresholds) ? "real" : "inconclusive";
  });
}

/** Returns a picture turned clockwise by so many quarters. */
export function turned({data, width, height}, quarters) {
  const before = new Uint32Array(data.buffer, data.byteOffset, width * height);
  const after = new Uint32Array(width * height);
  const [newWidth, newHeight] = quarters % 2 ? [height, width] : [width, height];
  const placeOf = (x, y) => {
    const [toX, toY] = turnedPoint(x, y, width - 1, height - 1, quarters);
    return toY * newWidth + toX;
  };
  const first = placeOf(0, 0);
  const [aColumn, aRow] = [placeOf(1, 0) - first, placeOf(0, 1) - first];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) after[first + x * aColumn + y * aRow] = before[y * width + x];
  }
  return {data: new Uint8ClampedArray(after.buffer), width: newWidth, height: newHeight};
}

/** Returns a face found in a turned picture in the pixels of the picture as it was, of that width and height. */
export function turnedBack(face, {width, height}, quarters) {
  const [turnedWidth, turnedHeight] = quarters % 2 ? [height, width] : [width, height];
  const back = (points) => {
    const moved = [];
    for (let at = 0; at < points.length; at += 2) {
      moved.push(...turnedPoint(points[at], points[at + 1], turnedWidth, turnedHeight, 4 - quarters));
    }
    return moved;
  };
  const [x0, y0, x1, y1] = back(face.box);
  const box = [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
  return {...face, box, landmarks: back(face.landmarks)};
}

/** Returns where a point of a picture comes to lie when that is turned clockwise by so many quarters. */
function turnedPoint(x, y, right, bottom, quarters) {
  return [[x, y], [bottom - y, x], [right - x, bottom - y], [y, right - x]][quarters];
}

/** Returns intersection over union of two boxes. */
export function shareOfUnion(one, other) {
  const width = Math.min(one[2], other[2]) - Math.max(one[0], other[0]);
  const height = Math.min(one[3], other[3]) - Math.max(one[1], other[1]);
  if (width <= 0 || height <= 0) return 0;
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  return (width * height) / (area(one) + area(other) - width * height);
}

/** For each new pixel, the old ones whose area it covers and their shares. */
function areaTaps(before, after) {
  const scale = before / after;
  return range(after).map((place) => {
    const [start, end] = [place * scale, Math.min((place + 1) * scale, before)];
    const taps = [];
    for (let at = Math.floor(start); at < end - 1e-9; at++) {
      taps.push([at, (Math.min(at + 1, end) - Math.max(at, start)) / (end - start)]);
    }
    return taps;
  });
}

/** Returns the picture's chosen columns and rows averaged: rows of red, green, blue, not yet rounded. */
function shrink(picture, columns, rows, columnTaps, rowTaps) {
  const width = columnTaps.length;
  const across = new Float32Array(rows.length * width * 3);
  rows.forEach((row, y) => {
    columnTaps.forEach((taps, x) => {
      for (const [place, weight] of taps) {
        const from = (row * picture.width + columns[place]) * 4;
        for (let colour = 0; colour < 3; colour++) {
          across[(y * width + x) * 3 + colour] += weight * picture.data[from + colour];
        }
      }
    });
  });
  const result = new Float32Array(rowTaps.length * width * 3);
  rowTaps.forEach((taps, y) => {
    for (const [place, weight] of taps) {
      for (let at = 0; at < width * 3; at++) result[y * width * 3 + at] += weight * across[place * width * 3 + at];
    }
  });
  return result;
}

/** Returns a picture of half the width and height, each pixel the mean of four, rounded as OpenCV does. */
function halved(picture) {
  const [width, height] = [Math.floor(picture.width / 2), Math.floor(picture.height / 2)];
  const data = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const above = (2 * y * picture.width + 2 * x) * 4;
      const below = above + picture.width * 4;
      for (let at = 0; at < 4; at++) {
        const four =
          picture.data[above + at] + picture.data[above + 4 + at] + picture.data[below + at] + picture.data[below + 4 + at];
        data[(y * width + x) * 4 + at] = (four + 2) >> 2;
      }
    }
  }
  return {data, width, height};
}

/**
 * Returns the picture's chosen columns and rows interpolated: height x width of red, green, blue.
 *
 * In whole numbers and with the roundings of OpenCV: others move an eighth of the bytes by one, and the network, which
 * looks at the finest grain, then says up to .01 more or less.
 */
function interpolate(picture, columns, rows, width, height) {
  const across = new Int32Array(rows.length * width * 3);
  const columnTaps = linearTaps(columns.length, width);
  rows.forEach((row, y) => {
    columnTaps.forEach(([low, high, lowShare, highShare], x) => {
      const [from, to] = [columns[low], columns[high]].map((column) => (row * picture.width + column) * 4);
      for (let colour = 0; colour < 3; colour++) {
        across[(y * width + x) * 3 + colour] =
          lowShare * picture.data[from + colour] + highShare * picture.data[to + colour];
      }
    });
  });
  const result = new Int32Array(height * width * 3);
  linearTaps(rows.length, height).forEach(([low, high, lowShare, highShare], y) => {
    for (let at = 0; at < width * 3; at++) {
      const [above, below] = [across[low * width * 3 + at] >> 4, across[high * width * 3 + at] >> 4];
      result[y * width * 3 + at] = (((lowShare * above) >> 16) + ((highShare * below) >> 16) + 2) >> 2;
    }
  });
  return result;
}

/** For each new pixel, the two old ones beside it and their shares in 2048ths. */
function linearTaps(before, after) {
  return range(after).map((place) => {
    const centre = Math.fround((place + 0.5) * (before / after) - 0.5);
    const low = Math.min(Math.max(Math.floor(centre), 0), before - 1);
    const share = centre < 0 || low === before - 1 ? 0 : Math.fround(centre - low);
    const [lowShare, highShare] = [1 - share, share].map((part) => roundHalfToEven(Math.fround(part) * 2048));
    return [low, Math.min(low + 1, before - 1), lowShare, highShare];
  });
}

/** Returns where to read when what lies outside is the mirrored inside; the edge itself is not repeated. */
function mirrored(start, length, size) {
  const [low, high] = [Math.max(start, 0), Math.min(start + length, size)];
  const period = Math.max(1, 2 * (high - low) - 2);
  return range(length).map((offset) => {
    const place = (((start + offset - low) % period) + period) % period;
    return low + Math.min(place, period - place);
  });
}

function roundHalfToEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

const range = (count) => Array.from({length: count}, (_, at) => at);
const wholeCells = (length) => Math.ceil(length / 32) * 32;
const longerSide = ({box: [left, top, right, bottom]}) => Math.max(right - left, bottom - top);
const logit = (probability) => Math.log(Math.max(probability, 1e-9) / Math.max(1 - probability, 1e-9));
const clampByte = (value) => Math.min(255, Math.max(0, Math.round(value)));
