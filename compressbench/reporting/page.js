// What makes a report's tables sortable and draws its plots. It needs no network and no library.
'use strict';
const COLORS = ['#1f77b4', '#d95f02', '#1b9e77', '#7570b3', '#e7298a', '#8c6d31', '#0b6477', '#a4161a', '#666666', '#66a61e'];
const escaped = text => String(text).replace(/[&<>"]/g, each => ({'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;'})[each]);
const short = value => {
  const size = Math.abs(value);
  if (size >= 1000) return value.toLocaleString('en', {maximumFractionDigits: 0});
  return String(Number(value.toPrecision(4)));
};

// Tables: a click on a heading sorts by it; rows without a first cell stay below theirs, the network before on top.
const UNITS = {k: 1e3, M: 1e6, G: 1e9, kB: 1e3, MB: 1e6};
function figure(text) {
  const found = /^([-+±]?)([\d,]*\.?\d+(?:e[-+]?\d+)?)\s*(k|M|G|kB|MB)?(?=$|[\s%x])/.exec(text.trim());
  return found ? Number((found[1] === '-' ? '-' : '') + found[2].replace(/,/g, '')) * (UNITS[found[3]] || 1) : NaN;
}
function order(one, other) {
  const [left, right] = [figure(one), figure(other)];
  if (isNaN(left) !== isNaN(right)) return isNaN(left) ? 1 : -1;
  return isNaN(left) ? one.localeCompare(other) : left - right;
}
function sortable(table) {
  table.querySelectorAll('thead th').forEach((heading, column) => {
    heading.tabIndex = 0;
    heading.title = 'sort';
    const sort = () => {
      const down = heading.getAttribute('aria-sort') === 'ascending';
      table.querySelectorAll('th').forEach(each => each.removeAttribute('aria-sort'));
      heading.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const groups = [];
      for (const row of table.tBodies[0].rows) {
        if (row.className === 'first' || !groups.length) groups.push([]);
        groups[groups.length - 1].push(row);
      }
      const cell = group => group[0].cells[column].textContent;
      const fixed = group => group[0].cells[0].textContent === 'before';
      groups.sort((a, b) => fixed(b) - fixed(a) || !cell(a) - !cell(b) || (down ? -1 : 1) * order(cell(a), cell(b)));
      groups.flat().forEach(row => table.tBodies[0].append(row));
    };
    heading.onclick = sort;
    heading.onkeydown = event => { if (event.key === 'Enter') sort(); };
  });
}

// What the mouse is over.
const tip = document.createElement('div');
tip.className = 'tip';
function hover(svg, told) {
  svg.onmousemove = event => {
    const part = event.target.closest('[data-at]');
    svg.querySelectorAll('.over').forEach(each => each.classList.remove('over'));
    tip.style.display = part ? 'block' : 'none';
    if (!part) return;
    part.classList.add('over');
    tip.innerHTML = told(Number(part.dataset.at));
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = Math.min(event.clientX + 14, room) + 'px';
    tip.style.top = Math.max(4, Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)) + 'px';
  };
  svg.onmouseleave = () => { tip.style.display = 'none'; };
}
function told(chart, point) {
  const lines = Object.entries(point.values).map(([name, value]) => {
    const spread = point.spreads[name];
    return `<tr><td>${escaped(chart.captions[name])}</td><td>${short(value)}${spread ? ' ± ' + short(spread) : ''}</td></tr>`;
  });
  const seeds = point.kind === 'published' ? 'published' : `${point.seeds} seed${point.seeds > 1 ? 's' : ''}`;
  return `<b>${escaped(point.label)}</b> (${seeds})<table>${lines.join('')}</table>`;
}

// Scales.
function scale(values, from, to) {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  const log = low > 0 && high >= 10 * low;
  const at = log ? Math.log10 : value => value;
  if (low === high) [low, high] = log ? [low / 2, high * 2] : [low - (Math.abs(low) * .05 || 1), high + (Math.abs(high) * .05 || 1)];
  const margin = (at(high) - at(low)) * .06;
  const [start, length] = [at(low) - margin, at(high) - at(low) + 2 * margin];
  const place = value => from + (at(value) - start) / length * (to - from);
  const ticks = [];
  if (log) {
    const digits = length > 2 ? [1, 3] : [1, 2, 5];
    for (let power = Math.floor(start); power <= start + length; power++)
      for (const digit of digits) ticks.push(digit * 10 ** power);
  } else {
    const rough = length / 6, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find(each => each * power >= rough) * power;
    for (let value = Math.ceil(start / step) * step; value <= start + length; value += step) ticks.push(Number(value.toPrecision(10)));
  }
  return {place, ticks: ticks.filter(each => at(each) >= start && at(each) <= start + length)};
}
function front(points, x, y, sign) {
  let best = -Infinity;
  return points.filter(point => point.kind === 'point').sort((a, b) => a.values[x] - b.values[x] || sign * (b.values[y] - a.values[y]))
    .filter(point => sign * point.values[y] > best && ((best = sign * point.values[y]), true));
}

function scatter(chart, x, y, width) {
  const [left, right, top, bottom, height] = [64, 16, 12, 46, 430];
  const shown = chart.points.filter(point => x in point.values && y in point.values);
  if (!shown.length) return '<p>nothing to draw</p>';
  const across = scale(shown.map(point => point.values[x]), left, width - right);
  const spread = point => point.spreads[y] || 0;
  const up = scale(shown.flatMap(point => [point.values[y] - spread(point), point.values[y] + spread(point)]), height - bottom, top);
  const parts = [`<svg width="${width}" height="${height}" role="img">`];
  for (const tick of across.ticks) {
    const at = across.place(tick);
    parts.push(`<path class="grid" d="M${at} ${top}V${height - bottom}"/><text x="${at}" y="${height - bottom + 16}" text-anchor="middle">${short(tick)}</text>`);
  }
  for (const tick of up.ticks) {
    const at = up.place(tick);
    parts.push(`<path class="grid" d="M${left} ${at}H${width - right}"/><text x="${left - 6}" y="${at + 4}" text-anchor="end">${short(tick)}</text>`);
  }
  parts.push(`<text x="${(left + width - right) / 2}" y="${height - 8}" text-anchor="middle">${escaped(chart.captions[x])}</text>`);
  parts.push(`<text transform="translate(14 ${(top + height - bottom) / 2}) rotate(-90)" text-anchor="middle">${escaped(chart.captions[y])}</text>`);
  const best = front(shown, x, y, chart.better[y]);
  const steps = best.map((point, n) => (n ? `H${across.place(point.values[x])}V` : `M${across.place(point.values[x])} `) + up.place(point.values[y]));
  if (best.length) parts.push(`<path class="front" d="${steps.join('')}"/>`);
  for (const group of chart.joined) {
    const own = shown.filter(point => point.group === group && point.kind === 'point');
    const line = own.map(point => `${across.place(point.values[x])},${up.place(point.values[y])}`).join(' ');
    parts.push(`<polyline points="${line}" fill="none" stroke="${color(chart, group)}" stroke-opacity=".5"/>`);
  }
  const taken = [];
  shown.forEach(point => {
    const [at, level, tint] = [across.place(point.values[x]), up.place(point.values[y]), color(chart, point.group)];
    const bar = spread(point) ? `<path stroke="${tint}" d="M${at} ${up.place(point.values[y] - spread(point))}V${up.place(point.values[y] + spread(point))}"/>` : '';
    const mark = point.kind === 'published' ? `<path stroke="${tint}" stroke-width="2" d="M${at - 5} ${level - 5}l10 10m0 -10l-10 10"/>`
      : point.kind === 'before' ? `<circle cx="${at}" cy="${level}" r="6" fill="#fff" stroke="#555" stroke-width="1.5"/>`
        : `<circle cx="${at}" cy="${level}" r="5" fill="${tint}" stroke="${best.includes(point) ? '#000' : '#fff'}"/>`;
    parts.push(`<g data-at="${chart.points.indexOf(point)}">${bar}${mark}</g>`);
    taken.push([at - 7, level - 7, at + 7, level + 7]);
  });
  for (const point of shown.filter(each => each.kind === 'point' && (shown.length <= 40 || best.includes(each)))) {
    const [at, level, wide] = [across.place(point.values[x]), up.place(point.values[y]), 6.2 * point.short.length];
    const places = [[8, -4], [8, 14], [-8 - wide, -4], [-8 - wide, 14], [-wide / 2, -10], [-wide / 2, 20]];
    const box = places.map(([dx, dy]) => [at + dx, level + dy - 9, at + dx + wide, level + dy + 2]).find(each => each[0] > left && each[2] < width
      && each[1] > 0 && !taken.some(other => each[0] < other[2] && other[0] < each[2] && each[1] < other[3] && other[1] < each[3]));
    if (!box) continue;
    taken.push(box);
    parts.push(`<text class="label" x="${box[0]}" y="${box[3] - 2}">${escaped(point.short)}</text>`);
  }
  return parts.join('') + '</svg>';
}

// Parallel coordinates: a line a point, from axis to axis; words stand in the order they were given.
function parallel(chart, y, width) {
  const [height, top, bottom, side] = [300, 34, 14, 70];
  const keys = chart.parallel.filter(key => key !== y).concat(y);
  const shown = chart.points.filter(point => point.kind === 'point' && y in point.values);
  const value = (point, key) => (key in point.values ? point.values[key] : point.settings[key]);
  const axes = keys.map((key, n) => {
    const found = [...new Set(shown.map(point => value(point, key)))].filter(each => each !== undefined);
    const numeric = found.every(each => typeof each === 'number');
    const own = scale(numeric ? found : found.map((_, place) => place), height - bottom, top);
    return {key, at: side + n * (width - 2 * side) / Math.max(1, keys.length - 1), place: each => own.place(numeric ? each : found.indexOf(each)),
      ticks: numeric ? own.ticks.map(tick => [tick, short(tick)]) : found.map(each => [each, each])};
  });
  const scores = shown.map(point => chart.better[y] * point.values[y]);
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  const parts = [`<svg width="${width}" height="${height}" role="img">`];
  shown.forEach((point, n) => {
    const line = axes.filter(axis => value(point, axis.key) !== undefined).map(axis => `${axis.at},${axis.place(value(point, axis.key))}`).join(' ');
    const share = high > low ? (scores[n] - low) / (high - low) : 1;
    parts.push(`<polyline data-at="${chart.points.indexOf(point)}" class="line" points="${line}" stroke="hsl(${30 + 180 * share} ${30 + 50 * Math.abs(2 * share - 1)}% ${62 - 22 * Math.abs(2 * share - 1)}%)"/>`);
  });
  for (const axis of axes) {
    parts.push(`<path class="axis" d="M${axis.at} ${top}V${height - bottom}"/><text x="${axis.at}" y="16" text-anchor="middle">${escaped(chart.captions[axis.key] || axis.key)}</text>`);
    for (const [tick, text] of axis.ticks) parts.push(`<text class="label" x="${axis.at + 5}" y="${axis.place(tick) + 4}">${escaped(text)}</text>`);
  }
  return parts.join('') + '</svg>';
}

const color = (chart, group) => COLORS[chart.groups.indexOf(group) % COLORS.length];
function draw(place) {
  const chart = JSON.parse(place.querySelector('script').textContent);
  const [picture, lines] = ['.picture', '.lines'].map(name => place.querySelector(name));
  const [x, y] = place.querySelectorAll('select');
  place.querySelectorAll('.key').forEach((key, n) => { key.innerHTML = `<span style="color:${COLORS[n % COLORS.length]}">●</span> ` + key.innerHTML; });
  const show = () => {
    const width = Math.min(1000, place.clientWidth);
    picture.innerHTML = scatter(chart, x.value, y.value, width);
    lines.innerHTML = chart.parallel.length > 2 ? '<p>Each line is a point; blue is better, brown worse.</p>' + parallel(chart, y.value, width) : '';
    place.querySelectorAll('svg').forEach(svg => hover(svg, at => told(chart, chart.points[at])));
  };
  x.onchange = y.onchange = show;
  addEventListener('resize', show);
  show();
}
document.body.append(tip);
document.querySelectorAll('table').forEach(sortable);
document.querySelectorAll('.chart').forEach(draw);
