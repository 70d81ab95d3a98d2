// The web console: reads the hub's events and figures, and sends what the operator writes.
//
// Three things hold everywhere. Text from clients is put into the page as text, never as markup. The
// token goes into the Authorization header and nowhere else. And nothing grows without a bound,
// however fast the lines come.
//
// It is longer than the project's other files, because one file without a build step is easier to
// read than several. In order: text, the log, clients, figures, the composer, dialogs, the
// connection, the token.

const find = (id) => document.getElementById(id);

function element(tag, className = '', text = '') {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** Changes an element only if it must: unchanged text keeps its selection and costs no layout. */
function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

// ---- Text ---------------------------------------------------------------------------------------

// What docs/protocol.md lists: control characters except tab, line and paragraph separators, and
// bidirectional controls. The terminal escapes the same ones.
const UNSAFE = /[\0-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

function escaped(text) {
  return text.replace(UNSAFE, (character) => {
    if (character === '\n') return '\\n';
    if (character === '\r') return '\\r';
    return `\\u{${character.charCodeAt(0).toString(16)}}`;
  });
}

const grouped = new Intl.NumberFormat('en');
const number = (value) => grouped.format(value);
const counted = (value, noun) => `${number(value)} ${noun}${value === 1 ? '' : 's'}`;

function bytes(value) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit += 1) value /= 1000;
  return `${unit > 0 && value < 100 ? value.toFixed(1) : number(Math.round(value))} ${units[unit]}`;
}

const localTime = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });
let second = { utc: '', local: '' };

/** The local time of day. Thousands of events share a second, so the last one is remembered. */
function timeOfDay(time) {
  const utc = time.slice(0, 19);
  if (second.utc !== utc) second = { utc, local: localTime.format(new Date(`${utc}Z`)) };
  return second.local;
}

function since(time) {
  const date = new Date(time);
  const today = date.toDateString() === new Date().toDateString();
  return date.toLocaleString('en-GB', today ? { timeStyle: 'short' } : { dateStyle: 'medium', timeStyle: 'short' });
}

const label = (session) => escaped(session.name ?? session.peer ?? '');

/** Neighbouring numbers get hues that are far apart: the golden angle. */
const hue = (id) => String(Math.round((id * 137.508) % 360));

// ---- The log ------------------------------------------------------------------------------------

const MAX_ROWS = 5000;
// Rows are grouped, so that the browser lays out only the groups in view, and old rows go in groups.
const ROWS_PER_BLOCK = 100;

const log = find('log');
let kept = []; // The newest entries, shown or not, oldest first.
let unshown = 0; // How many of the newest are not in the page yet.
let rows = 0;
let flushScheduled = false;
let lastBatch = 0;
let pausedBy = ''; // 'button', 'scroll', or nothing: the log follows the newest line.
let only = null; // The client whose lines alone are shown.

const DISCONNECTED = {
  left: 'left',
  lost: 'lost its connection',
  stalled: 'was disconnected: it did not read',
  idle: 'was disconnected: it was idle',
  shutdown: 'was disconnected: the hub stops',
  kicked: 'was kicked',
  replaced: 'was disconnected: replaced',
};

/** What a row says about an event: its kind (a class in the style sheet), who, and a text. */
function wording(event) {
  switch (event.event) {
    case 'message': return ['line', label(event), event.text];
    case 'broadcast': return ['own', '→ all', event.text];
    case 'told': return ['own', `→ ${label(event)}`, event.text];
    case 'connected': return ['notice', label(event), 'connected'];
    case 'disconnected': return ['notice', label(event), DISCONNECTED[event.reason] ?? `left: ${event.reason}`];
    case 'rejected': return ['problem', label(event), `was refused: ${event.reason}`];
    case 'discarded': {
      const size = counted(event.bytes, 'byte');
      return ['problem', label(event), `a line of ${size} was discarded: ${event.reason}`];
    }
    case 'problem': return ['problem', '', event.text];
    case 'gap': return ['gap', '', gapSentence(event)];
    case 'bound': return ['notice', '', `The hub listens on ${event.address}`];
    case 'admin': return ['notice', '', `The web console is at ${event.address}`];
    case 'cluster': return ['notice', '', `Cluster: ${event.state}`];
    case 'reloaded': return ['notice', '', 'The configuration was read again'];
    case 'stopped': return ['notice', '', 'The hub has stopped'];
    default: return ['notice', label(event), event.text ?? event.event];
  }
}

function gapSentence({ where, missed }) {
  const size = missed == null ? 'unknown size' : counted(missed, 'event');
  if (where !== 'feed') return `The ${where} has a gap: ${size}`;
  if (missed == null) return 'The hub was restarted: this page does not know how much it missed';
  return `${size} missed: this page did not get what came in between`;
}

function addEvent(event) {
  const [kind, who, text] = wording(event);
  const source = event.hub === undefined ? who : `${who} at ${escaped(event.hub)}`;
  kept.push({ time: event.time, id: event.id, kind, who: source, peer: event.peer, text: escaped(text) });
  unshown += 1;
  // Cutting at twice the size, not at each event, so that it costs next to nothing.
  if (kept.length > 2 * MAX_ROWS) kept = kept.slice(-MAX_ROWS);
  scheduleFlush();
}

/** The page changes once per frame, and ten times a second when lines come faster than one can read. */
function scheduleFlush() {
  if (flushScheduled) return;
  flushScheduled = true;
  setTimeout(() => requestAnimationFrame(flush), lastBatch > ROWS_PER_BLOCK / 4 ? 100 : 0);
}

function flush() {
  flushScheduled = false;
  lastBatch = unshown;
  if (pausedBy === '' && unshown > 0) {
    const fresh = kept.slice(-Math.min(unshown, MAX_ROWS));
    unshown = 0;
    appendRows(fresh.filter(isWanted));
  }
  const newer = find('newer');
  newer.hidden = pausedBy === '';
  setText(newer, `Paused${unshown > 0 ? ` · ${counted(unshown, 'newer event')}` : ''} · Follow ↓`);
}

function appendRows(entries) {
  // Nobody can listen to hundreds of lines a second: a screen reader then reads on demand only.
  log.ariaLive = entries.length > 20 ? 'off' : 'polite';
  for (const entry of entries) {
    let block = log.lastElementChild;
    if (!block || block.childElementCount >= ROWS_PER_BLOCK) {
      block = element('div', 'block');
      log.append(block);
    }
    block.append(row(entry));
  }
  rows += entries.length;
  while (rows > MAX_ROWS) {
    rows -= log.firstElementChild.childElementCount;
    log.firstElementChild.remove();
  }
  if (pausedBy === '') log.scrollTop = log.scrollHeight;
}

function row(entry) {
  const made = element('div', `row ${entry.kind}`);
  if (entry.id !== undefined) made.style.setProperty('--hue', hue(entry.id));
  made.append(element('time', '', timeOfDay(entry.time)));
  if (entry.who !== '') {
    const who = element('span', 'who', entry.who);
    who.title = entry.peer ?? '';
    made.append(who);
  }
  made.append(element('span', 'text', entry.text));
  return made;
}

function isWanted(entry) {
  // A gap concerns everything, whatever is filtered.
  if (entry.kind === 'gap') return true;
  if (only !== null && entry.id !== only) return false;
  const wanted = find('filter').value.toLowerCase();
  return wanted === '' || `${entry.who} ${entry.peer ?? ''} ${entry.text}`.toLowerCase().includes(wanted);
}

/** Shows what is kept again, after the filter has changed. */
function showKept() {
  log.replaceChildren();
  rows = 0;
  log.dataset.filtered = only !== null || find('filter').value !== '';
  const shown = pausedBy === '' ? kept : kept.slice(0, kept.length - Math.min(unshown, kept.length));
  if (pausedBy === '') unshown = 0;
  appendRows(shown.filter(isWanted).slice(-MAX_ROWS));
  log.scrollTop = log.scrollHeight;
}

function clearLog() {
  kept = [];
  unshown = 0;
  find('missed').hidden = true;
  showKept();
  flush();
}

function setPaused(by) {
  pausedBy = by;
  find('pause').ariaPressed = String(by !== '');
  flush();
  if (by === '') log.scrollTop = log.scrollHeight;
}

function showOnly(session) {
  only = session?.id ?? null;
  find('only').hidden = session === null;
  if (session !== null) {
    setText(find('only'), label(session));
    find('only').ariaLabel = `Show all clients, not only ${label(session)}`;
    find('only').style.setProperty('--hue', hue(session.id));
  }
  for (const [id, card] of cards) card.show.ariaPressed = String(id === only);
  showKept();
}

find('filter').addEventListener('input', showKept);
find('only').addEventListener('click', () => showOnly(null));
find('clear').addEventListener('click', clearLog);
find('pause').addEventListener('click', () => setPaused(pausedBy === '' ? 'button' : ''));
find('newer').addEventListener('click', () => setPaused(''));

// The log becomes lower when the composer grows, and must still show the newest line.
new ResizeObserver(() => {
  if (pausedBy === '') log.scrollTop = log.scrollHeight;
}).observe(log);

// Scrolling up pauses, and scrolling back to the end follows again. The log also scrolls because rows
// come and go, so only what follows a movement of the user counts.
let lastMoved = -Infinity;
for (const kind of ['wheel', 'touchmove', 'pointerdown', 'keydown']) {
  log.addEventListener(kind, () => { lastMoved = performance.now(); }, { passive: true });
}
log.addEventListener('scroll', () => {
  if (performance.now() - lastMoved > 1000) return;
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 8;
  if (!atEnd && pausedBy === '') setPaused('scroll');
  if (atEnd && pausedBy === 'scroll') setPaused('');
}, { passive: true });

// ---- Clients ------------------------------------------------------------------------------------

let sessions = new Map(); // By id.
const cards = new Map(); // Their elements, by id. Kept, so that a focused button stays focused.

function showSessions(list) {
  sessions = new Map(list.map((session) => [session.id, session]));
  for (const [id, card] of cards) {
    if (!sessions.has(id)) {
      card.item.remove();
      cards.delete(id);
    }
  }
  for (const session of list) {
    if (!cards.has(session.id)) cards.set(session.id, newCard(session));
    updateCard(cards.get(session.id), session);
  }
  setText(find('count'), list.length > 0 ? number(list.length) : '');
  find('nobody').hidden = list.length > 0;
  showRecipients();
}

function newCard({ id }) {
  const card = {
    item: element('li'), name: element('strong'), peer: element('span', 'peer'), state: element('span', 'state'),
    received: element('dd'), sent: element('dd'), queued: element('dd'),
    show: element('button', 'quiet', 'Only its lines'), rename: element('button', 'quiet', 'Rename'),
    kick: element('button', 'quiet danger', 'Kick'),
  };
  card.item.style.setProperty('--hue', hue(id));
  card.show.ariaPressed = String(id === only);
  card.show.addEventListener('click', () => showOnly(only === id ? null : sessions.get(id)));
  card.rename.addEventListener('click', () => askName(sessions.get(id)));
  card.kick.addEventListener('click', () => kick(sessions.get(id)));
  const counters = element('dl');
  for (const [term, value] of [['Received', card.received], ['Sent', card.sent], ['Queued', card.queued]]) {
    const pair = element('div');
    pair.append(element('dt', '', term), value);
    counters.append(pair);
  }
  const head = element('div', 'head');
  head.append(card.name, card.state);
  const actions = element('div', 'actions');
  actions.append(card.show, card.rename, card.kick);
  card.item.append(head, card.peer, counters, actions);
  find('clients').append(card.item);
  return card;
}

function updateCard(card, session) {
  const name = label(session);
  setText(card.name, name);
  const facts = [session.name == null ? '' : escaped(session.peer), `since ${since(session.since)}`];
  if (session.tls) facts.push(`TLS ${session.tls}`);
  if (session.certificate) facts.push(`certificate ${escaped(session.certificate)}`);
  setText(card.peer, facts.filter(Boolean).join(' · '));
  setText(card.state, session.state);
  card.state.dataset.state = session.state;
  setText(card.received, counted(session.lines_in, 'line'));
  setText(card.sent, counted(session.lines_out, 'line'));
  setText(card.queued, bytes(session.queued));
  card.received.title = bytes(session.bytes_in);
  card.sent.title = bytes(session.bytes_out);
  card.show.ariaLabel = `Only its lines: ${name}`;
  card.rename.ariaLabel = `Rename ${name}`;
  card.kick.ariaLabel = `Kick ${name}`;
}

async function kick(session) {
  try {
    await request(`sessions/${session.id}`, { method: 'DELETE' });
    showOutcome(`${label(session)} is being disconnected.`);
  } catch (error) {
    showOutcome(`${label(session)} was not kicked: ${error.message}`, true);
  }
  refreshSoon();
}

// ---- Figures ------------------------------------------------------------------------------------

let lastFigures = null;

function showFigures(server) {
  const now = performance.now();
  const seconds = lastFigures ? (now - lastFigures.now) / 1000 : 0;
  const rate = (field) => {
    const more = lastFigures ? server[field] - lastFigures.server[field] : 0;
    // After a restart the hub counts from zero again.
    return more > 0 && seconds > 0 ? `${number(Math.round(more / seconds))} lines/s` : 'none now';
  };
  const figures = {
    'Sessions': `${number(server.sessions)} of ${number(server.max_sessions)}`,
    'Received': `${counted(server.lines_in, 'line')} · ${bytes(server.bytes_in)}`,
    'Receiving': rate('lines_in'),
    'Sent': `${counted(server.lines_out, 'line')} · ${bytes(server.bytes_out)}`,
    'Sending': rate('lines_out'),
    'Connections': `${number(server.connections)} · ${number(server.refused)} refused`,
    'Discarded': counted(server.discarded, 'line'),
    'Reversal': server.reverse ? 'on' : 'off',
    ...(server.cluster == null ? {} : { Cluster: server.cluster }),
    'Running since': since(server.since),
    'Version': server.version,
  };
  lastFigures = { now, server };
  setText(find('address'), server.address);
  document.title = `${server.address} · Linehub`;
  const list = find('figures');
  const terms = Object.keys(figures);
  if (list.childElementCount !== terms.length) {
    list.replaceChildren(...terms.map(() => {
      const pair = element('div');
      pair.append(element('dt'), element('dd'));
      return pair;
    }));
  }
  terms.forEach((term, index) => {
    const [dt, dd] = list.children[index].children;
    setText(dt, term);
    setText(dd, String(figures[term]));
  });
}

// ---- The composer -------------------------------------------------------------------------------

const HISTORY = 100;
const message = find('message');
const to = find('to');
let sent = [];
let recalled = 0; // An index into what was sent; its length means the line that is being written.
let draft = '';
let waiting = []; // What has been entered and not answered yet: {path, text, name}, oldest first.
let sending = false;

/** Updates the choices. A chosen client that has left stays chosen, so that its line does not go to all. */
function showRecipients() {
  const chosen = to.value;
  const wanted = new Map([['all', 'all']]);
  for (const [id, session] of sessions) {
    wanted.set(String(id), session.name == null ? label(session) : `${label(session)} (${escaped(session.peer)})`);
  }
  for (const option of [...to.options]) {
    if (!wanted.has(option.value)) {
      if (option.value === chosen) gone(option);
      else option.remove();
    }
  }
  const known = new Map([...to.options].map((option) => [option.value, option]));
  for (const [value, text] of wanted) {
    const option = known.get(value) ?? to.appendChild(new Option(text, value));
    setText(option, text);
  }
}

/** Marks the option. Its value no longer names a session: another run of the hub uses the same numbers. */
function gone(option) {
  if (option.value.startsWith('gone')) return;
  setText(option, `${option.textContent} (left)`);
  option.value = 'gone';
}

function enter() {
  const text = message.value;
  // An empty line is a line. Several lines end with the last one, whether or not it has a line end.
  const count = text.replace(/\n$/, '').split('\n').length;
  const recipient = to.value === 'all' ? 'all clients' : to.selectedOptions[0].textContent;
  if (to.value === 'gone') return showOutcome('This client has left. Choose who gets the line.', true);
  if (!live) return showOutcome('Not sent: there is no connection to the hub.', true);
  const path = to.value === 'all' ? 'broadcast' : `sessions/${to.value}/lines`;
  const send = () => {
    remember(text);
    message.value = '';
    fitMessage();
    waiting.push({ path, text: `${text.replace(/\n$/, '')}\n`, recipient });
    sendWaiting();
  };
  if (count === 1) send();
  else confirmSeveral(count, recipient, text, send);
}

/** Sends one after the other, so that lines arrive in the order in which they were entered. */
async function sendWaiting() {
  if (sending) return;
  sending = true;
  while (waiting.length > 0) {
    const { path, text, recipient } = waiting[0];
    // A client that does not read makes the hub wait, and the operator should know why nothing happens.
    const slow = setTimeout(() => showOutcome(`Waiting: ${recipient} cannot take more lines yet.`), 1000);
    try {
      const answer = await request(path, { method: 'POST', body: text });
      const { lines, sessions: receivers } = await answer.json();
      waiting.shift();
      const whom = receivers === undefined ? recipient : counted(receivers, 'client');
      showOutcome(`Sent ${counted(lines, 'line')} to ${whom}.`);
    } catch (error) {
      giveBack(error);
    } finally {
      clearTimeout(slow);
    }
  }
  sending = false;
}

/** Puts what was not sent back into the box. */
function giveBack(error) {
  const texts = waiting.map(({ text }) => text.replace(/\n$/, ''));
  waiting = [];
  message.value = [...texts, ...(message.value === '' ? [] : [message.value])].join('\n');
  fitMessage();
  const isRefused = error instanceof Refused;
  showOutcome(isRefused ? `Not sent: ${error.message}` : 'The connection broke: the hub may or may not have sent this.', true);
}

function showOutcome(text, isError = false) {
  const outcome = find('outcome');
  setText(outcome, text);
  outcome.className = isError ? 'error' : '';
}

function remember(text) {
  if (text !== '' && sent.at(-1) !== text) sent = [...sent, text].slice(-HISTORY);
  recalled = sent.length;
  draft = '';
}

function recall(step) {
  const next = recalled + step;
  if (next < 0 || next > sent.length) return;
  if (recalled === sent.length) draft = message.value;
  recalled = next;
  message.value = next === sent.length ? draft : sent[next];
  fitMessage();
  message.setSelectionRange(message.value.length, message.value.length);
}

/** Makes the box as high as its text; the style sheet sets the most. */
function fitMessage() {
  message.rows = Math.min(message.value.split('\n').length, 6);
}

message.addEventListener('input', fitMessage);
message.addEventListener('keydown', (event) => {
  // Enter during the composition of a character belongs to the input method.
  if (event.isComposing || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  const before = message.value.slice(0, message.selectionStart);
  const after = message.value.slice(message.selectionEnd);
  if (event.key === 'Enter') enter();
  else if (event.key === 'ArrowUp' && !before.includes('\n')) recall(-1);
  else if (event.key === 'ArrowDown' && !after.includes('\n')) recall(1);
  else return;
  event.preventDefault();
});
find('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  enter();
  message.focus();
});

// ---- Dialogs ------------------------------------------------------------------------------------

const several = find('several');
let onConfirmed = () => {};

function confirmSeveral(count, recipient, text, send) {
  setText(find('several-title'), `Send ${counted(count, 'line')} to ${recipient}?`);
  setText(several.querySelector('[value=yes]'), `Send ${counted(count, 'line')}`);
  setText(find('several-lines'), text.split('\n').map(escaped).join('\n'));
  onConfirmed = send;
  several.showModal();
  several.querySelector('[value=yes]').focus();
}

several.querySelector('[value=yes]').addEventListener('click', () => {
  several.close();
  onConfirmed();
});
several.addEventListener('close', () => message.focus());

const rename = find('rename');
let renamed = null;

function askName(session) {
  renamed = session;
  setText(find('rename-title'), `Rename ${label(session)}`);
  find('rename-error').textContent = '';
  find('new-name').value = session.name ?? '';
  rename.showModal();
  find('new-name').select();
}

rename.querySelector('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  try {
    await request(`sessions/${renamed.id}/name`, { method: 'PUT', body: find('new-name').value });
    rename.close();
  } catch (error) {
    setText(find('rename-error'), error.message);
  }
  refreshSoon();
});

for (const dialog of [several, rename]) {
  dialog.querySelector('[value=cancel]').addEventListener('click', () => dialog.close());
}

// ---- The connection -----------------------------------------------------------------------------

// The hub sends at least a comment every 15 s. Twice that without a byte means that nobody is there.
const SILENCE_MS = 40_000;
const REFRESH_MS = 2_000;

/** An answer of the hub that is not a success, with its sentence. */
class Refused extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

let token = '';
let current = new AbortController(); // Aborted when the token turns out to be wrong, or is replaced.
let live = false;
let lastId = ''; // RUN-N of the newest event that this page has seen.

/** A request to the hub. A status that is no success is an error with the hub's sentence. */
async function request(path, options = {}) {
  const { signal } = current;
  const answer = await fetch(`api/v1/${path}`, {
    signal, cache: 'no-store', ...options,
    headers: { ...options.headers, Authorization: `Bearer ${headerText(token)}` },
  });
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  const refused = new Refused(answer.status, problem.error ?? `status ${answer.status}`);
  // An answer to an earlier token says nothing about the present one.
  if ([401, 429].includes(answer.status) && !signal.aborted) askForToken(refused.message);
  throw refused;
}

/** The UTF-8 bytes of the text, one per character: what a header can hold. */
const headerText = (text) => String.fromCharCode(...new TextEncoder().encode(text));

function showStatus(state, text) {
  live = state === 'live';
  find('status').dataset.state = state;
  setText(find('status'), text);
  // What is shown may no longer be true.
  document.body.classList.toggle('stale', !live);
}

/** Follows the events until the token is wrong or replaced, over any number of connections. */
async function follow(signal) {
  for (let failures = 0; !signal.aborted; failures += 1) {
    let reason = 'Connection lost';
    try {
      await readEvents(signal, () => { failures = 0; });
    } catch (error) {
      if (error instanceof Refused) reason = error.message;
      // The hub does not take this id: whatever came since then is unknown.
      if (error.status === 400) forgetPosition();
    }
    if (signal.aborted) return;
    showStatus('lost', `${reason[0].toUpperCase()}${reason.slice(1)}. Trying again…`);
    await delay(Math.min(500 * 2 ** failures, 5000) * (1 + Math.random() / 4));
  }
}

function forgetPosition() {
  lastId = '';
  receive({ event: 'gap', where: 'feed', missed: null, time: new Date().toISOString() });
}

async function readEvents(signal, onOpen) {
  const silence = new AbortController();
  let timer = 0;
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE_MS);
  };
  alive();
  try {
    const answer = await request(lastId === '' ? 'events?since=0' : 'events', {
      headers: lastId === '' ? {} : { 'Last-Event-ID': lastId },
      signal: AbortSignal.any([signal, silence.signal]),
    });
    onOpen();
    showStatus('live', 'Live');
    refreshSoon();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const parse = eventParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      alive();
      parse(value);
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Takes the stream in pieces, cut anywhere, and receives each event at its empty line. */
function eventParser() {
  let rest = '';
  let id = '';
  let json = '';
  return (piece) => {
    const lines = (rest + piece).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith('data:')) json += line.slice(5);
      else if (line.startsWith('id:')) id = line.slice(3).trim();
      else if (line.trim() === '' && json !== '') {
        if (id !== '') lastId = id;
        receive(JSON.parse(json));
        json = '';
      }
    }
  };
}

function receive(event) {
  addEvent(event);
  if (event.event === 'connected' || event.event === 'disconnected') refreshSoon();
  if (event.event === 'gap' && event.where === 'feed') {
    // At a high rate the row is soon out of sight, so the newest gap is also shown above the log.
    setText(find('missed'), `${timeOfDay(event.time)} · ${gapSentence(event)}.`);
    find('missed').hidden = false;
    if (event.missed == null) forgetSessions();
  }
}

/** Another run of the hub gives the same numbers to other clients. */
function forgetSessions() {
  showOnly(null);
  showSessions([]);
  lastFigures = null;
  if (rename.open) rename.close();
}

/** Waits, but not while the user looks at the page again or the network is back. */
function delay(time) {
  return new Promise((resolve) => {
    const over = new AbortController();
    const wake = () => {
      over.abort();
      resolve();
    };
    setTimeout(wake, time);
    addEventListener('online', wake, { signal: over.signal });
    document.addEventListener('visibilitychange', wake, { signal: over.signal });
  });
}

let refreshTimer = 0;
let refreshing = false;

/** Asks for clients and figures: every two seconds, and soon after a client has come or left. */
function refreshSoon(time = 150) {
  clearTimeout(refreshTimer);
  refreshTimer = setTimeout(refresh, time);
}

async function refresh() {
  if (refreshing || !live || document.hidden) return refreshSoon(REFRESH_MS);
  refreshing = true;
  const { signal } = current;
  try {
    const server = await (await request('server')).json();
    const list = await allSessions();
    if (!signal.aborted && live) {
      showFigures(server);
      showSessions(list);
    }
  } catch {
    // The event stream notices a lost connection and says so; a busy hub is asked again below.
  }
  refreshing = false;
  if (!signal.aborted) refreshSoon(REFRESH_MS);
}

async function allSessions() {
  const all = [];
  for (;;) {
    const page = await (await request(`sessions?after=${all.at(-1)?.id ?? 0}`)).json();
    all.push(...page);
    if (page.length < 1000) return all;
  }
}

document.addEventListener('visibilitychange', () => refreshSoon());

// ---- The token ----------------------------------------------------------------------------------

const TOKEN_KEY = 'linehub-token';

function start(newToken) {
  token = newToken;
  sessionStorage.setItem(TOKEN_KEY, token);
  current.abort();
  current = new AbortController();
  find('login').hidden = true;
  find('desk').hidden = false;
  find('login-error').textContent = '';
  find('token').value = '';
  showStatus('connecting', 'Connecting…');
  message.focus();
  follow(current.signal);
}

/** Stops everything and asks. The hub has just refused the token, or there is none. */
function askForToken(problem) {
  current.abort();
  sessionStorage.removeItem(TOKEN_KEY);
  for (const dialog of [several, rename]) dialog.close();
  showStatus('stopped', 'Token needed');
  find('desk').hidden = true;
  find('login').hidden = false;
  setText(find('login-error'), problem);
  find('token').focus();
}

find('login').addEventListener('submit', (event) => {
  event.preventDefault();
  start(find('token').value.trim());
});

/** Takes the token out of the address, so that it is neither shown nor kept in the browser's history. */
function tokenFromAddress() {
  if (!location.hash.startsWith('#token=')) return '';
  const found = location.hash.slice('#token='.length);
  history.replaceState(null, '', location.pathname + location.search);
  try {
    return decodeURIComponent(found);
  } catch {
    return found;
  }
}

addEventListener('hashchange', () => {
  const found = tokenFromAddress();
  if (found) start(found);
});

const first = tokenFromAddress() || sessionStorage.getItem(TOKEN_KEY);
if (first) start(first);
else askForToken('');
