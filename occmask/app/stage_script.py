"""The browser's side of one face: open a picture, drag covers onto it, move, scale and remove them.

Gradio runs SCRIPT once for each of the two faces, with `element`, `trigger`, `props`, `server` and `watch`.  The value
is {picture, grey, note, covers}; places are shares of the picture, as in `covers.Cover`.
"""

from __future__ import annotations

SCRIPT = r"""
const kinds = props.kinds, most = props.most, limit = props.limit;
const find = name => element.querySelector('.om-' + name);
const frame = find('frame'), face = find('picture'), layer = find('covers'), note = find('note');
const input = element.querySelector('input[type=file]');
let state = {picture: null, grey: false, note: '', covers: []};
let chosen = -1, pending = null;

const say = (words, wrong) => { note.textContent = words; note.classList.toggle('om-wrong', !!wrong); };
const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

function send() {  // at most one change per frame of the screen; Gradio keeps the last one that comes while it works
  if (pending) return;
  pending = requestAnimationFrame(() => {
    pending = null;
    props.value = JSON.parse(JSON.stringify(state));
    trigger('change');
  });
}

function draw() {
  face.hidden = !state.picture;
  if (state.picture && face.src !== state.picture) face.src = state.picture;
  frame.classList.toggle('om-filled', !!state.picture);
  frame.classList.toggle('om-grey', !!state.grey);
  frame.classList.toggle('om-marked', !!state.note);
  find('clear').disabled = !state.covers.length;
  layer.replaceChildren(...state.covers.map((cover, index) => {
    const box = document.createElement('div');
    box.className = 'om-cover' + (index === chosen ? ' om-selected' : '');
    box.dataset.index = index;
    box.tabIndex = 0;
    box.setAttribute('role', 'button');
    box.setAttribute('aria-label', kinds[cover.kind].label + ': drag, arrow keys move, + and - scale, Delete removes');
    place(box, cover);
    const image = document.createElement('img');
    image.src = kinds[cover.kind].image; image.alt = ''; image.draggable = false;
    const grip = document.createElement('span'); grip.className = 'om-grip'; grip.title = 'Drag to scale';
    const off = document.createElement('button');
    off.type = 'button'; off.className = 'om-off'; off.textContent = '\u00d7';
    off.title = 'Remove'; off.setAttribute('aria-label', 'Remove ' + kinds[cover.kind].label);
    box.append(image, grip, off);
    return box;
  }));
}

function place(box, cover) {
  for (const [side, share] of [['left', cover.x], ['top', cover.y], ['width', cover.width], ['height', cover.height]])
    box.style[side] = 100 * share + '%';
  const hidden = {  // of the cover's sides, beyond the frame: its two handles stay within
    right: (cover.x + cover.width - 1) / cover.width,
    bottom: (cover.y + cover.height - 1) / cover.height,
    top: -cover.y / cover.height,
  };
  for (const side in hidden) box.style.setProperty('--' + side, 100 * clamp(hidden[side], 0, 1) + '%');
}

function choose(index) {
  chosen = index;
  for (const box of layer.children) box.classList.toggle('om-selected', +box.dataset.index === index);
}

function add(kind, x, y) {  // x, y: its middle; where it naturally sits when left out
  if (state.covers.length >= most) return say('At most ' + most + ' covers fit before one face.', true);
  const seat = kinds[kind].seat, cover = {kind, ...seat};
  if (x !== undefined) { cover.x = x - seat.width / 2; cover.y = y - seat.height / 2; }
  state.covers.push(cover);
  chosen = state.covers.length - 1;
  draw();
  return chosen;
}

function remove(index) { state.covers.splice(index, 1); chosen = -1; draw(); send(); }

function at(event) {
  const area = frame.getBoundingClientRect();
  return {x: (event.clientX - area.left) / area.width, y: (event.clientY - area.top) / area.height};
}

function follow(event, moved, done) {  // the pointer, until it is let go
  const start = at(event);
  const move = e => { const now = at(e); moved(now.x - start.x, now.y - start.y, now, e); };
  const end = e => {
    window.removeEventListener('pointermove', move);
    window.removeEventListener('pointerup', end);
    window.removeEventListener('pointercancel', end);
    done(at(e), e);
  };
  window.addEventListener('pointermove', move);
  window.addEventListener('pointerup', end);
  window.addEventListener('pointercancel', end);
}

layer.addEventListener('pointerdown', event => {
  const box = event.target.closest('.om-cover');
  if (!box) return choose(-1);
  if (event.target.closest('.om-off')) return;
  event.preventDefault();
  box.focus({preventScroll: true});
  const index = +box.dataset.index, cover = state.covers[index], from = {...cover};
  choose(index);
  const scaling = !!event.target.closest('.om-grip');
  follow(event, (dx, dy) => {
    if (scaling) {
      const free = kinds[cover.kind].free;
      const by = clamp(Math.max(1 + dx / from.width, 1 + dy / from.height), 0.05, 20);
      cover.width = clamp(free ? from.width + dx : from.width * by, 0.04, 2.5);
      cover.height = free ? clamp(from.height + dy, 0.04, 2.5) : from.height * cover.width / from.width;
    } else {
      cover.x = clamp(from.x + dx, 0.03 - from.width, 0.97);
      cover.y = clamp(from.y + dy, 0.03 - from.height, 0.97);
    }
    place(box, cover);
    send();
  }, () => send());
});

document.addEventListener('pointerdown', event => { if (!layer.contains(event.target)) choose(-1); });

layer.addEventListener('click', event => {
  const box = event.target.closest('.om-off') && event.target.closest('.om-cover');
  if (box) remove(+box.dataset.index);
});

layer.addEventListener('keydown', event => {
  const box = event.target.closest('.om-cover');
  if (!box) return;
  const index = +box.dataset.index, cover = state.covers[index], step = event.shiftKey ? 0.08 : 0.02;
  const steps = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
  const by = {'+': 1.08, '=': 1.08, '-': 1 / 1.08}[event.key];
  if (event.key === 'Delete' || event.key === 'Backspace') { event.preventDefault(); return remove(index); }
  if (steps) {
    cover.x = clamp(cover.x + step * steps[0], 0.03 - cover.width, 0.97);
    cover.y = clamp(cover.y + step * steps[1], 0.03 - cover.height, 0.97);
  } else if (by && Math.max(cover.width, cover.height) * by < 2.5 && Math.min(cover.width, cover.height) * by > 0.04) {
    cover.x -= cover.width * (by - 1) / 2; cover.y -= cover.height * (by - 1) / 2;
    cover.width *= by; cover.height *= by;
  } else return;
  event.preventDefault();
  place(box, cover);
  send();
});

find('palette').addEventListener('pointerdown', event => {
  const button = event.target.closest('[data-kind]');
  if (!button || !state.picture || event.button > 0) return;
  const kind = button.dataset.kind;
  let index = -1, box = null;
  const outside = now => now.x < -0.05 || now.x > 1.05 || now.y < -0.05 || now.y > 1.05;
  follow(event, (dx, dy, now) => {
    if (index < 0 && outside(now)) return;
    if (index < 0) {
      index = add(kind, now.x, now.y);
      if (index === undefined) index = -1;
      else { box = layer.children[index]; frame.classList.add('om-dropping'); }
    }
    if (!box) return;
    const cover = state.covers[index];
    cover.x = now.x - cover.width / 2; cover.y = now.y - cover.height / 2;
    place(box, cover);
    send();
  }, now => {
    frame.classList.remove('om-dropping');
    if (index >= 0 && outside(now)) remove(index);
    else if (index >= 0) send();
    button.dataset.dragged = index >= 0 ? 'yes' : '';
  });
});

find('palette').addEventListener('click', event => {  // a mouse that never moved, a finger's tap, or the Enter key
  const button = event.target.closest('[data-kind]');
  if (!button) return;
  if (!state.picture) return say('Open a picture first.', true);
  if (button.dataset.dragged) { button.dataset.dragged = ''; return; }
  if (add(button.dataset.kind) !== undefined) send();
});

find('clear').addEventListener('click', () => { state.covers = []; chosen = -1; draw(); send(); });
find('open').addEventListener('click', () => input.click());
find('drop').addEventListener('click', () => input.click());

async function open(file) {
  if (!file) return;
  const size = Math.floor(limit / 1e6) + ' MB';
  if (file.size > limit) return say(file.name + ': more than ' + size + '; save it smaller.', true);
  say('Opening ' + file.name + ' ...');
  try {
    const url = await new Promise((done, failed) => {
      const reader = new FileReader();
      reader.onload = () => done(reader.result); reader.onerror = () => failed(reader.error);
      reader.readAsDataURL(file);
    });
    const opened = await server.open_on_page({name: file.name, url});
    if (opened.error) return say(opened.error, true);
    state = {picture: opened.picture, grey: opened.grey, note: opened.note, covers: state.covers};
    say(opened.note);
    draw();
    send();
  } catch (error) { say(file.name + ' could not be sent; is occmask app still running?', true); }
}

input.addEventListener('change', () => { open(input.files[0]); input.value = ''; });
for (const kind of ['dragenter', 'dragover', 'dragleave', 'drop'])
  frame.addEventListener(kind, event => {
    event.preventDefault();
    frame.classList.toggle('om-dropping', kind === 'dragenter' || kind === 'dragover');
    if (kind === 'drop') open(event.dataTransfer.files[0]);
  });

function take() {  // a value from the server, such as an example
  const value = props.value;
  if (!value || JSON.stringify(value) === JSON.stringify(state)) return;
  state = JSON.parse(JSON.stringify(value));
  chosen = -1;
  say(state.note || '');
  draw();
  trigger('change');
}
watch('value', take);
draw();
"""
