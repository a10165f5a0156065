//! Who is logged in: `session.setCustomer` and what it writes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use sluice_kit::value;

/// Fields that belong to one person and must not pass on to another.
const PERSONAL: [&str; 4] = ["id", "name", "first_name", "last_name"];

/// What the owner of CRM data begins with whose customer has no id.
const EMAIL_OWNER: &str = "email:";

/// The identity keys of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    pub email: String,
    /// Owner of the customer's CRM data: the given id as text, else `email:`
    /// and the lower-cased email.
    pub customer_id: String,
    /// What scripts and templates see as `customer`.
    pub customer: Value,
}

impl Identity {
    /// The identity after `setCustomer(fields)`, merged over an earlier login.
    ///
    /// # Errors
    /// A sentence for the author: what is wrong with `fields`.
    pub fn merged(earlier: Option<&Self>, fields: &Value) -> Result<Self, String> {
        let fields = fields.as_object().ok_or("setCustomer takes an object with at least `email`")?;
        let email = text(fields, "email")?.ok_or("setCustomer needs `email`")?;
        if !email.contains('@') {
            return Err("setCustomer: `email` must contain @".into());
        }
        let (first, last) = (text(fields, "first_name")?, text(fields, "last_name")?);
        let mut customer = kept(earlier, email);
        customer.insert("email".into(), email.into());
        for (key, given) in [("first_name", first), ("last_name", last)] {
            if let Some(given) = given {
                customer.insert(key.into(), given.into());
            }
        }
        let name = match text(fields, "name")? {
            Some(name) => Some(name.to_owned()),
            None if first.is_some() || last.is_some() || !customer.contains_key("name") => {
                full_name(&customer)
            }
            None => None,
        };
        if let Some(name) = name {
            customer.insert("name".into(), name.into());
        }
        if let Some(id) = fields.get("id").filter(|id| !id.is_null()) {
            customer.insert("id".into(), id.clone());
        }
        let customer_id = customer_id(&customer).unwrap_or_else(|| email_owner(email));
        // Who may choose an id must not become the owner that an email stands for.
        if customer_id.starts_with(EMAIL_OWNER) && customer_id != email_owner(email) {
            return Err(format!("setCustomer: an `id` that begins with `{EMAIL_OWNER}` is an email's"));
        }
        Ok(Self { email: email.to_owned(), customer_id, customer: Value::Object(customer) })
    }

    /// Who owns the CRM data of a customer that has no id.
    pub fn email_owner(&self) -> String {
        email_owner(&self.email)
    }

    pub fn bytes(&self) -> usize {
        self.email.len() + self.customer_id.len() + value::encode(&self.customer).len()
    }
}

/// Only ASCII is lower-cased: other letters have forms that become somebody else's, as the
/// Kelvin sign becomes `k`.
pub(super) fn email_owner(email: &str) -> String {
    format!("{EMAIL_OWNER}{}", email.to_ascii_lowercase())
}

/// What stays of an earlier login: all of it for the same person, else only
/// what is not personal.
fn kept(earlier: Option<&Identity>, email: &str) -> Map<String, Value> {
    let Some(earlier) = earlier else { return Map::new() };
    let mut customer = earlier.customer.as_object().cloned().unwrap_or_default();
    if !earlier.email.eq_ignore_ascii_case(email) {
        customer.retain(|key, _| !PERSONAL.contains(&key.as_str()));
    }
    customer
}

fn full_name(customer: &Map<String, Value>) -> Option<String> {
    let part = |key| customer.get(key).and_then(Value::as_str).filter(|part| !part.is_empty());
    let parts: Vec<&str> = [part("first_name"), part("last_name")].into_iter().flatten().collect();
    if parts.is_empty() { None } else { Some(parts.join(" ")) }
}

/// Only a text or a number can own CRM data.
fn customer_id(customer: &Map<String, Value>) -> Option<String> {
    match customer.get("id")? {
        Value::String(id) if !id.is_empty() => Some(id.clone()),
        Value::Number(id) => Some(ryu_js::Buffer::new().format(id.as_f64()?).to_owned()),
        _ => None,
    }
}

fn text<'a>(fields: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, String> {
    match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("setCustomer: `{key}` must be text")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn login(earlier: Option<&Identity>, fields: Value) -> Identity {
        Identity::merged(earlier, &fields).unwrap()
    }

    #[test]
    fn the_first_login_derives_name_and_id() {
        let ann = login(None, json!({"email": "Ann@Example.com", "first_name": "Ann", "last_name": "Lee"}));
        assert_eq!(ann.customer_id, "email:ann@example.com");
        assert_eq!(
            ann.customer,
            json!({"email": "Ann@Example.com", "first_name": "Ann", "last_name": "Lee", "name": "Ann Lee"})
        );
    }

    #[test]
    fn the_same_person_keeps_what_is_known() {
        let mut ann = login(None, json!({"email": "ann@example.com", "id": 7, "name": "Ann"}));
        ann.customer.as_object_mut().unwrap().insert("total".into(), json!(12));
        let again = login(Some(&ann), json!({"email": "ANN@example.com"}));
        assert_eq!(again.customer_id, "7");
        assert_eq!(again.customer["name"], "Ann");
        assert_eq!(again.customer["total"], 12);
    }

    #[test]
    fn somebody_else_gets_nothing_personal() {
        let mut ann = login(None, json!({"email": "ann@example.com", "id": 7, "name": "Ann"}));
        ann.customer.as_object_mut().unwrap().insert("total".into(), json!(12));
        let bob = login(Some(&ann), json!({"email": "bob@example.com"}));
        assert_eq!(bob.customer_id, "email:bob@example.com");
        assert_eq!(bob.customer, json!({"email": "bob@example.com", "total": 12}));
    }

    #[test]
    fn any_json_may_be_the_id_but_not_own_data() {
        for id in [json!({"a": 1}), json!(true), json!([])] {
            let who = login(None, json!({"email": "a@b", "id": id}));
            assert_eq!(who.customer["id"], id);
            assert_eq!(who.customer_id, "email:a@b");
        }
        assert_eq!(login(None, json!({"email": "a@b", "id": 1.5})).customer_id, "1.5");
        assert_eq!(login(None, json!({"email": "a@b", "id": "x9"})).customer_id, "x9");
    }

    #[test]
    fn nobody_becomes_the_owner_of_another_email() {
        let kelvin = login(None, json!({"email": "\u{212a}en@example.com"}));
        assert_ne!(kelvin.customer_id, login(None, json!({"email": "ken@example.com"})).customer_id);
        let taken =
            Identity::merged(None, &json!({"email": "eve@example.com", "id": "email:ken@example.com"}));
        assert!(taken.unwrap_err().contains("an email's"));
        let own = login(None, json!({"email": "Ken@example.com", "id": "email:ken@example.com"}));
        assert_eq!(own.customer_id, "email:ken@example.com");
    }

    #[test]
    fn bad_fields_are_refused_with_the_reason() {
        for (fields, reason) in [
            (json!("a@b"), "setCustomer takes an object with at least `email`"),
            (json!({}), "setCustomer needs `email`"),
            (json!({"email": "nobody"}), "setCustomer: `email` must contain @"),
            (json!({"email": 1}), "setCustomer: `email` must be text"),
            (json!({"email": "a@b", "name": 1}), "setCustomer: `name` must be text"),
        ] {
            assert_eq!(Identity::merged(None, &fields).unwrap_err(), reason);
        }
    }
}
