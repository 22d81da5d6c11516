// Inserts the server's updates, and shows confirmations in a dialog. Without this script the page works too: it does
// not update itself, and each confirmation is a page.
'use strict';

// Only HTML of this server passes here. Its templates escape all values.
const policy = window.trustedTypes
  ? trustedTypes.createPolicy('mooncast', { createHTML: (html) => html })
  : { createHTML: (html) => html };

const PART = { 'X-Mooncast-Part': '1' };
const $ = (id) => document.getElementById(id);

function parse(html) {
  const template = document.createElement('template');
  template.innerHTML = policy.createHTML(html);
  return template.content;
}

// Sends the browser's time zone to the server, so that times are local.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone) document.cookie = `mooncast_zone=${zone}; path=/; max-age=31536000; samesite=strict`;

// The server does not know the time zone at the first visit, so the times of that page are written anew here. Updates have
// the browser's zone already.
function localTime(at, short) {
  const parts = (date) => {
    const format = new Intl.DateTimeFormat('en-GB', {
      timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit',
    });
    return Object.fromEntries(format.formatToParts(date).map(({ type, value }) => [type, value]));
  };
  const date = new Date(at);
  const [then, now] = [parts(date), parts(new Date())];
  const time = `${then.hour}:${then.minute}`;
  if (short) return time;
  const chinese = document.documentElement.lang.startsWith('zh');
  if (then.year === now.year && then.month === now.month && then.day === now.day) return `${time}:${then.second}`;
  const day = `${then.month.padStart(2, '0')}-${then.day.padStart(2, '0')}`;
  if (then.year !== now.year) return chinese ? `${then.year}年${+then.month}月${+then.day}日 ${time}` : `${then.year}-${day} ${time}`;
  if (chinese) return `${+then.month}月${+then.day}日 ${time}`;
  return `${new Intl.DateTimeFormat('en-US', { timeZone: zone, month: 'short', day: 'numeric' }).format(date)} ${time}`;
}

if (zone && zone !== document.body.dataset.zone) {
  for (const time of document.querySelectorAll('time[datetime]')) {
    time.textContent = localTime(time.dateTime);
    time.title = new Date(time.dateTime).toLocaleString([], { timeZone: zone, timeZoneName: 'shortOffset' });
  }
  for (const tick of document.querySelectorAll('[data-at]')) tick.textContent = localTime(tick.dataset.at, true);
  const named = $('zone');
  if (named) named.textContent = named.textContent.replace(/: .*|：.*/, (text) => text[0] + (text[0] === ':' ? ' ' : '') + zone);
}

// Makes one element equal to another. Equal parts are not touched, so focus, open details and scroll positions stay.
function become(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.nodeValue = fresh.nodeValue;
    return;
  }
  const unfolded = old.nodeName === 'DETAILS' && old.open;
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (unfolded) old.open = true;
  const keyed = new Map();
  for (const child of old.children) {
    if (child.dataset.key) keyed.set(child.dataset.key, child);
  }
  let at = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const key = child.dataset && child.dataset.key;
    let like = null;
    if (key) {
      like = keyed.get(key) || null;
    } else if (at && !(at.dataset && at.dataset.key) && at.nodeName === child.nodeName) {
      like = at;
    }
    if (!like) {
      old.insertBefore(child, at);
      continue;
    }
    if (like === at) at = at.nextSibling;
    else old.insertBefore(like, at);
    become(like, child);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function place(id, html) {
  const fresh = parse(html).firstElementChild;
  const old = $(id);
  if (!old || !fresh) return;
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  become(old, fresh);
  if (focused && focused.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
}

function tell(html) {
  const notice = $('notice');
  notice.replaceChildren(parse(html));
  notice.scrollIntoView({ block: 'nearest' });
}

function unreached() {
  const words = document.createElement('p');
  words.className = 'notice wrong';
  words.textContent = document.body.dataset.notReached;
  $('notice').replaceChildren(words);
}

// Confirmations.
const dialog = $('ask');

async function ask(href) {
  const answer = await fetch(href, { headers: PART });
  const html = await answer.text();
  if (answer.status === 401) return location.reload();
  if (!answer.ok) return tell(html);
  dialog.replaceChildren(parse(html));
  if (!dialog.open) dialog.showModal();
  dialog.querySelector('textarea, button').focus();
}

async function act(form) {
  const button = form.querySelector('button');
  button.disabled = true;
  try {
    const answer = await fetch(form.action, { method: 'POST', headers: PART, body: new URLSearchParams(new FormData(form)) });
    const html = await answer.text();
    dialog.close();
    if (answer.status === 401) return location.reload();
    tell(html);
  } catch {
    dialog.close();
    unreached();
  }
}

if (dialog) {
  document.addEventListener('click', (event) => {
    const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
    const link = event.target.closest('a');
    if (!link || !plain) return;
    if ('ask' in link.dataset) {
      event.preventDefault();
      ask(link.href).catch(unreached);
    } else if ('leave' in link.dataset && dialog.contains(link)) {
      event.preventDefault();
      dialog.close();
    }
  });
  dialog.addEventListener('submit', (event) => {
    event.preventDefault();
    act(event.target);
  });
  // A click outside the dialog closes it.
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });
}

// Live updates.
const events = document.body.dataset.events;
const live = $('live');
const lost = $('lost');
let source = null;
let heard = 0;
let begun = 0;
let later = 0;

function shown(state, text) {
  live.hidden = false;
  live.className = `live ${state}`;
  live.textContent = text;
}

function clock(at) {
  return new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
}

function miss(words) {
  if (!lost.hidden && !words) return;
  lost.textContent = words || lost.dataset.lost.replace('@', clock(heard || Date.now()));
  lost.hidden = false;
  document.body.classList.add('lost');
  shown('off', '');
}

function hear(event) {
  const news = JSON.parse(event.data);
  heard = Date.now();
  if (news.build !== document.body.dataset.build && !(dialog && dialog.open)) return location.reload();
  for (const [id, html] of Object.entries(news.parts)) place(id, html);
  lost.hidden = true;
  document.body.classList.remove('lost');
  shown('on', `${live.dataset.live} ${news.at}`);
}

function listen() {
  leave();
  begun = Date.now();
  source = new EventSource(events);
  source.onmessage = hear;
  source.addEventListener('over', () => location.reload());
  source.onerror = () => {
    miss();
    // The browser does not reconnect by itself after a response that is not a stream.
    if (source && source.readyState === EventSource.CLOSED) later = setTimeout(again, 5000);
  };
}

function leave() {
  clearTimeout(later);
  if (source) source.close();
  source = null;
}

async function again() {
  try {
    const answer = await fetch(events, { method: 'HEAD', headers: PART });
    if (answer.status === 401) return location.reload();
    if (answer.status === 503) miss(lost.dataset.full);
  } catch {
    // The stream is opened again in any case.
  }
  listen();
}

if (events) {
  listen();
  // A connection can break without an event. A browser has few connections per host, so a hidden page closes its own.
  setInterval(() => {
    if (source && Date.now() - Math.max(heard, begun) > 10000) miss();
  }, 2000);
  document.addEventListener('visibilitychange', () => (document.hidden ? leave() : listen()));
  addEventListener('pagehide', leave);
  addEventListener('pageshow', (event) => event.persisted && listen());
}
