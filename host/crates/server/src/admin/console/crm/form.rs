//! The form with the fields and the stage of an entry: what it shows, and what an operator has changed in it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use sluice_crm::ReferenceError;
use sluice_crm::edit::{self, FIELDS_MAX};

use super::field::{Editor, is_changed_by_forms, mark, with_plain_lines};
use crate::admin::error::AdminError;
use crate::admin::views::crm::{EntityView, EntryView, FieldView};

/// What a browser may send. A form of [`TEXT_BYTES_MAX`] whose text is percent-encoded takes three times as much, and
/// operators type more.
pub(super) const BODY_BYTES_MAX: usize = 4 << 20;
/// Bytes of values in one form. Scripts store up to 256 values of 10,000 characters in an entry.
const TEXT_BYTES_MAX: usize = 256 << 10;
/// How much of a value is shown beside the form.
const SHOWN_CHARS_MAX: usize = 400;

/// What a browser has sent, as pairs of names and texts.
pub(super) struct Posted(Vec<(String, String)>);

impl Posted {
    pub(super) fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    pub(super) fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.one(name).unwrap_or_default().to_owned()
    }

    fn all(&self, name: &str) -> Vec<String> {
        let found = self.0.iter().filter(|(known, _)| known == name);
        found.map(|(_, text)| with_plain_lines(text)).collect()
    }
}

/// Why parts of a form are refused, by the names of their inputs. An empty name stands for the whole form.
#[derive(Default)]
pub(super) struct Reasons(BTreeMap<String, Value>);

impl Reasons {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, name: &str, why: &str) {
        self.0.insert(name.to_owned(), json!({ "text": why }));
    }

    /// The reasons of an error, at the place in the form that it is about.
    pub(super) fn of(error: &AdminError) -> Self {
        let said = error.to_string();
        let (name, reason) = match error {
            AdminError::Field { key, why } => (value_name(key), json!({ "text": why })),
            AdminError::NotUnique { key, other } => {
                let why = "Another entry has this value already, and the field is unique.";
                (value_name(key), json!({ "text": why, "other": other.to_string() }))
            }
            AdminError::NoStage { .. } => ("stage".to_owned(), json!({ "text": said })),
            AdminError::Reference(ReferenceError::TypeCharacters(_) | ReferenceError::TypeTooLong) => {
                ("reference_type".to_owned(), json!({ "text": said }))
            }
            AdminError::Reference(_) => ("reference_id".to_owned(), json!({ "text": said })),
            _ => (String::new(), json!({ "text": said })),
        };
        Self(BTreeMap::from([(name, reason)]))
    }
}

/// The name of the input for a field's value, which is no name of another input.
fn value_name(key: &str) -> String {
    format!("f.{key}")
}

/// The name of the hidden input with the mark of what the form showed.
fn mark_name(key: &str) -> String {
    format!("was.{key}")
}

/// What an operator has typed into a form.
#[derive(Default)]
pub(super) struct Typed {
    /// Only what was changed. `null` removes a value.
    pub(super) values: Map<String, Value>,
    /// The stage, if another one was chosen.
    pub(super) stage: Option<String>,
    pub(super) reasons: Reasons,
}

impl Typed {
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty() && self.stage.is_none()
    }
}

/// The form of an entry, or of a new one.
pub(super) struct Form<'a> {
    entity: &'a EntityView,
    entry: Option<&'a EntryView>,
}

/// A field in the form.
struct Field<'a> {
    of: &'a FieldView,
    stored: &'a Value,
    editor: Editor,
    /// What a form sends that nobody has touched.
    shown: Vec<String>,
    /// Why the value cannot be changed here.
    fixed: Option<String>,
}

impl<'a> Form<'a> {
    pub(super) fn of(entity: &'a EntityView, entry: &'a EntryView) -> Self {
        Self { entity, entry: Some(entry) }
    }

    pub(super) fn new(entity: &'a EntityView) -> Self {
        Self { entity, entry: None }
    }

    fn fields(&self) -> Vec<Field<'a>> {
        let mut bytes = 0_usize;
        let field = |of: &'a FieldView| {
            let stored = self.entry.and_then(|entry| entry.values.get(&of.key)).unwrap_or(&Value::Null);
            let editor = Editor::of(of, stored);
            let shown = editor.shown(stored);
            let own: usize = shown.iter().map(String::len).sum();
            let fixed = if is_changed_by_forms(&shown) {
                Some("It has control characters, which a browser would change.".to_owned())
            } else if bytes.saturating_add(own) > TEXT_BYTES_MAX {
                Some(format!("It has {own} bytes, for which this form has no room."))
            } else {
                bytes = bytes.saturating_add(own);
                None
            };
            Field { of, stored, editor, shown, fixed }
        };
        self.entity.fields.iter().take(FIELDS_MAX).map(field).collect()
    }

    /// The entry's stage as `sales/won`. Empty if it is in none.
    fn stage(&self) -> String {
        self.entry.and_then(EntryView::place).unwrap_or_default()
    }

    /// Whether a value must stay. An entry that lacks one can be changed otherwise.
    fn needs(&self, field: &Field) -> bool {
        field.of.is_required() && (self.entry.is_none() || !field.stored.is_null())
    }

    /// Reads what was changed.
    pub(super) fn read(&self, posted: &Posted) -> Typed {
        let mut typed = Typed::default();
        for field in self.fields().iter().filter(|field| field.fixed.is_none()) {
            let (key, name) = (&field.of.key, value_name(&field.of.key));
            let value = match field.touched(posted) {
                Some(texts) => field.editor.read(&texts, field.stored),
                None if self.entry.is_none() => Ok(Value::Null),
                None => continue,
            };
            let value = value.and_then(|value| match value {
                Value::Null if self.needs(field) => Err("A value is required.".to_owned()),
                value => edit::field(key, &value).map(|_| value).map_err(|why| why.to_string()),
            });
            match value {
                Ok(Value::Null) if self.entry.is_none() => {}
                Ok(value) => {
                    typed.values.insert(key.clone(), value);
                }
                Err(why) => typed.reasons.add(&name, &why),
            }
        }
        let stage = posted.text("stage");
        typed.stage = Some(stage.clone()).filter(|_| self.is_other_stage(&stage, posted));
        typed
    }

    /// Whether another stage was chosen than the one that the form showed and the one in which the entry is.
    fn is_other_stage(&self, stage: &str, posted: &Posted) -> bool {
        !stage.is_empty() && stage != self.stage() && posted.one("was_stage") != Some(stage)
    }

    /// The form for a template: as the entry is, or with what was sent. `is_late` says that the entry was changed after
    /// the form was shown.
    pub(super) fn view(&self, posted: Option<&Posted>, reasons: &Reasons, is_late: bool) -> Value {
        let fields = self.fields();
        let is_wrong = |field: &Field| reasons.0.contains_key(&value_name(&field.of.key));
        let first = fields.iter().position(is_wrong);
        let fields: Vec<Value> = fields
            .iter()
            .enumerate()
            .map(|(index, field)| {
                let mut view = field.view(posted, is_late);
                if let Value::Object(view) = &mut view {
                    view.insert("id".to_owned(), json!(format!("f{index}")));
                    view.insert("is_first".to_owned(), json!(first == Some(index)));
                    view.insert("needed".to_owned(), json!(self.needs(field)));
                    view.insert("reason".to_owned(), json!(reasons.0.get(&value_name(&field.of.key))));
                }
                view
            })
            .collect();
        let text = |name: &str| posted.map(|posted| posted.text(name)).unwrap_or_default();
        let chosen = match posted.map(|posted| (posted, posted.text("stage"))) {
            Some((posted, stage)) if self.is_other_stage(&stage, posted) => stage,
            _ => self.stage(),
        };
        let has_moved =
            posted.is_some_and(|posted| posted.one("was_stage").is_some_and(|was| was != self.stage()));
        let names: BTreeMap<&str, &Value> = reasons
            .0
            .iter()
            .map(|(name, reason)| (if name.is_empty() { "form" } else { name }, reason))
            .collect();
        json!({
            "fields": fields, "hidden_fields": self.entity.fields.len().saturating_sub(FIELDS_MAX),
            "stages": self.stages(&chosen), "stage": self.stage(), "in_no_stage": self.stage().is_empty(),
            "stage_now": (is_late && has_moved).then(|| self.stage()), "seen": self.entry.map(|entry| &entry.updated_at),
            "reasons": names, "is_late": is_late, "is_wrong": !reasons.is_empty(),
            "reference_type": match posted { Some(_) => text("reference_type"), None => "customer".to_owned() },
            "reference_id": text("reference_id"),
        })
    }

    fn stages(&self, chosen: &str) -> Vec<Value> {
        let mut all = Vec::new();
        for pipeline in &self.entity.pipelines {
            for stage in &pipeline.stages {
                let value = format!("{}/{}", pipeline.slug, stage.slug);
                let label = format!("{} / {}", pipeline.name, stage.name);
                all.push(json!({ "is_chosen": value == chosen, "value": value, "label": label }));
            }
        }
        all
    }
}

impl Field<'_> {
    /// What was sent, if it is neither what the form showed nor what the entry has.
    fn touched(&self, posted: &Posted) -> Option<Vec<String>> {
        let sent = posted.all(&value_name(&self.of.key));
        let was = posted.one(&mark_name(&self.of.key));
        if sent.is_empty() && !(was.is_some() && self.editor.can_be_silent()) {
            return None;
        }
        let now = mark(&self.shown);
        let sent_mark = mark(&sent);
        (sent_mark != now && was != Some(sent_mark.as_str())).then_some(sent)
    }

    fn view(&self, posted: Option<&Posted>, is_late: bool) -> Value {
        let touched = posted.filter(|_| self.fixed.is_none()).and_then(|posted| self.touched(posted));
        let now = mark(&self.shown);
        let was = posted.and_then(|posted| posted.one(&mark_name(&self.of.key)));
        // Somebody else has changed it, or has left it and sees what would replace it.
        let is_other = is_late && (was.is_some_and(|was| was != now) || touched.is_some());
        let texts = touched.as_ref().unwrap_or(&self.shown);
        let mut view = match &self.fixed {
            Some(why) => json!({ "fixed": why, "text": cut(self.stored) }),
            None => self.editor.view(texts),
        };
        let own = json!({
            "key": self.of.key, "label": self.of.label, "kind": self.of.kind, "name": value_name(&self.of.key),
            "is_required": self.of.is_required(), "is_unique": self.of.is_unique, "was_name": mark_name(&self.of.key),
            "was": now, "now": is_other.then(|| json!({ "text": cut(self.stored), "is_touched": touched.is_some() })),
        });
        if let (Value::Object(view), Value::Object(own)) = (&mut view, own) {
            view.extend(own);
        }
        view
    }
}

/// The beginning of a value.
fn cut(value: &Value) -> String {
    let whole = match value {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match whole.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", whole.get(..end).unwrap_or_default()),
        None => whole,
    }
}
