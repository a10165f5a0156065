//! A client of the site: it writes to the CRM, to the queue, to sessions and with tokens, and
//! notes what it was told.

use std::thread;

use fastrand::Rng;

use super::history::{Event, SessionNumber, What};

/// The page that the clients ask.
pub(crate) const PAGE: &str = "<script scope=\"backend\">
    const { op, line, n, email, id, token, keys } = request.query;
    const own = { referenceType: 'line', referenceId: line, fieldKey: 'n' };
    const value = Number(n);
    const read = (slug) => getCrmFieldValues({ ...own, slug, limit: 200 });
    if (op === 'read') {
        const last = getCrmField({ ...own, slug: 'last' });
        response.json([read('log'), read('queue'), last, storage.get('kept:' + line), storage.get('count:' + line)]);
    }
    if (op === 'who') {
        // Fails if the database does not answer.
        getCrmField({ ...own, slug: 'last', referenceId: 'none' });
        response.json([getUser().email, keys.split(',').filter((key) => session.get('k' + key) !== null)]);
    }
    if (op === 'mint') response.send(session.getToken(600) ?? '');
    const put = () => session.set('k' + n, value);
    const queue = () => addCrmFieldValue({ ...own, slug: 'queue', value, async: true });
    const ops = {
        put,
        queue,
        add: () => addCrmFieldValue({ ...own, slug: 'log', value }),
        keep: () => storage.set('kept:' + line, value),
        count: () => storage.increment('count:' + line) > 0,
        set: () => setCrmField({ ...own, slug: 'last', value }),
        both: () => {
            if (!put()) return false;
            let queued = false;
            try { queued = queue(); } finally { if (!queued) session.delete('k' + n); }
            return queued;
        },
        login: () => session.setCustomer(id ? { email, id } : { email }),
        // As pages do: without a look at the result.
        logout: () => { session.clearCustomer(); return true; },
        take: () => session.setFromToken(token),
    };
    let ok = false;
    try { ok = ops[op](); } catch {}
    response.json({ ok });
</script>";

/// The schema of the CRM data.
pub(crate) const SCHEMA: &str =
    "[[entity]]\nslug = 'log'\n[[entity]]\nslug = 'queue'\n[[entity]]\nslug = 'last'\n";

const ACKNOWLEDGED: &str = r#"{"ok":true}"#;

/// The numbers that a client writes to one reference. A page can read 200 values.
const NUMBERS_OF_LINE: u64 = 150;
/// A session can have 128 keys.
const KEYS_MAX: usize = 60;
/// Tokens that a client keeps, to use them again.
const TOKENS_MAX: usize = 5;

/// An answer of the site.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub body: String,
    /// The session cookie that it sets, as `name=value`.
    pub cookie: Option<String>,
}

impl Answer {
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.status == 200 && self.body == ACKNOWLEDGED
    }
}

/// What answers requests.
pub(crate) trait Site: Sync {
    /// Requests a path. `None` if no answer comes.
    fn get(&self, path: &str, cookie: Option<&str>) -> Option<Answer>;
}

/// The session that the client uses.
struct Open {
    number: SessionNumber,
    /// `None` until the session has been stored.
    cookie: Option<String>,
    email: Option<String>,
    keys: usize,
}

/// A client, which sends one request after the other.
pub(crate) struct Client<'a> {
    site: &'a dyn Site,
    number: usize,
    /// The beginning of the names of its references.
    prefix: String,
    rng: Rng,
    n: u64,
    sessions: usize,
    open: Option<Open>,
    /// Tokens and their customers.
    tokens: Vec<(String, String)>,
    history: Vec<Event>,
}

impl<'a> Client<'a> {
    pub(crate) fn new(site: &'a dyn Site, prefix: &str, number: usize, rng: Rng) -> Self {
        Self {
            site,
            number,
            prefix: prefix.to_owned(),
            rng,
            n: 0,
            sessions: number * 1_000_000,
            open: None,
            tokens: Vec::new(),
            history: Vec::new(),
        }
    }

    /// What the client has done.
    pub(crate) fn into_history(self) -> Vec<Event> {
        self.history
    }

    /// Makes one request, chosen at random. Returns whether it was answered as usual.
    pub(crate) fn step(&mut self) -> bool {
        self.n += 1;
        let line = format!("{}-{}-{}", self.prefix, self.number, self.n / NUMBERS_OF_LINE);
        match self.rng.u32(0..100) {
            0..20 => self.write("add", What::Add { line: line.clone() }, &line),
            20..40 => self.write("queue", What::Queue { line: line.clone() }, &line),
            40..45 => self.write("set", What::Set { line: line.clone() }, &line),
            45..51 => self.write("keep", What::Keep { line: line.clone() }, &line),
            51..56 => self.write("count", What::Count { line: line.clone() }, &line),
            56..66 => self.change_session(None),
            66..76 => self.change_session(Some(line)),
            76..88 => self.log_in_or_out(),
            _ => self.use_token(),
        }
    }

    /// Continues until `stop` is true.
    pub(crate) fn run(mut self, stop: impl Fn() -> bool) -> Vec<Event> {
        while !stop() {
            if !self.step() {
                thread::sleep(std::time::Duration::from_millis(self.rng.u64(5..25)));
            }
        }
        self.history
    }

    fn note(&mut self, what: What, acknowledged: bool, cookie: Option<String>) {
        let event = Event { client: self.number, n: self.n, what, acknowledged, cookie };
        self.history.push(event);
    }

    fn write(&mut self, op: &str, what: What, line: &str) -> bool {
        let answer = self.site.get(&format!("/?op={op}&line={line}&n={}", self.n), None);
        let acknowledged = answer.is_some_and(|answer| answer.is_acknowledged());
        self.note(what, acknowledged, None);
        acknowledged
    }

    /// The open session, or a new one.
    fn take_session(&mut self) -> Open {
        self.open.take().unwrap_or_else(|| {
            self.sessions += 1;
            Open { number: self.sessions, cookie: None, email: None, keys: 0 }
        })
    }

    /// Adds a key to the session, and with a line, queues a write in the same run.
    fn change_session(&mut self, line: Option<String>) -> bool {
        let mut open = self.take_session();
        let path = match &line {
            Some(line) => format!("/?op=both&line={line}&n={}", self.n),
            None => format!("/?op=put&n={}", self.n),
        };
        let answer = self.site.get(&path, open.cookie.as_deref());
        let acknowledged = answer.as_ref().is_some_and(Answer::is_acknowledged);
        let cookie = answer.and_then(|answer| answer.cookie);
        let session = open.number;
        let what = line.map_or(What::Put { session }, |line| What::Both { session, line });
        self.note(what, acknowledged, cookie.clone());
        open.keys += 1;
        open.cookie = cookie.or(open.cookie);
        // Without a cookie, the client cannot come back.
        self.open = Some(open).filter(|open| open.cookie.is_some() && open.keys < KEYS_MAX);
        acknowledged
    }

    fn log_in_or_out(&mut self) -> bool {
        let mut open = self.take_session();
        let session = open.number;
        let (path, what) = if open.email.take().is_some() {
            ("/?op=logout".to_owned(), What::Logout { session })
        } else {
            let email = format!("{}-{}-{}@x.test", self.prefix, self.number, self.n);
            let id = if self.rng.bool() { format!("&id={}-{}", self.number, self.n) } else { String::new() };
            open.email = Some(email.clone());
            (format!("/?op=login&email={email}{id}"), What::Login { session, email })
        };
        let answer = self.site.get(&path, open.cookie.as_deref());
        let acknowledged = answer.as_ref().is_some_and(Answer::is_acknowledged);
        open.cookie = answer.and_then(|answer| answer.cookie);
        self.note(what, acknowledged, open.cookie.clone());
        // Without an answer, the client does not know which of its cookies is valid.
        self.open = Some(open).filter(|open| acknowledged && open.cookie.is_some());
        acknowledged
    }

    /// Makes a token, or uses one. A token that was used before is used again.
    fn use_token(&mut self) -> bool {
        let owner = self.open.as_ref().and_then(|open| open.email.clone());
        let mints = owner.is_some() && (self.tokens.is_empty() || self.rng.u32(0..3) == 0);
        if let (true, Some(open), Some(email)) = (mints, &self.open, owner) {
            let made = self.site.get("/?op=mint", open.cookie.as_deref());
            let Some(made) = made.filter(|answer| answer.body.starts_with("v1.")) else { return false };
            self.tokens.push((made.body, email));
            if self.tokens.len() > TOKENS_MAX {
                self.tokens.remove(0);
            }
            return true;
        }
        if self.tokens.is_empty() {
            return self.log_in_or_out();
        }
        let (token, email) = self.tokens[self.rng.usize(0..self.tokens.len())].clone();
        let by_url = format!("/?op=who&keys=&ef_session={token}");
        let by_script = format!("/?op=take&token={token}");
        let uses = match self.rng.u32(0..4) {
            0 => vec![&by_script],
            1 => vec![&by_url, &by_script],
            _ => vec![&by_url],
        };
        let site = self.site;
        let answers: Vec<Option<Answer>> = thread::scope(|scope| {
            let uses: Vec<_> =
                uses.into_iter().map(|path| scope.spawn(move || site.get(path, None))).collect();
            uses.into_iter().map(|used| used.join().unwrap()).collect()
        });
        let is_answered = answers.iter().all(Option::is_some);
        for answer in answers {
            self.sessions += 1;
            let logged_in =
                answer.as_ref().is_some_and(|answer| answer.status == 303 || answer.is_acknowledged());
            let what = What::Take { session: self.sessions, token: token.clone(), email: email.clone() };
            self.note(what, logged_in, answer.and_then(|answer| answer.cookie));
        }
        is_answered
    }
}
