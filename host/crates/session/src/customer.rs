//! The logged-in customer: checks the fields of `session.setCustomer` and merges them with
//! those of an earlier login.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use sluice_kit::value;

/// Fields of one person. They are removed when another person logs in.
const PERSONAL: [&str; 4] = ["id", "name", "first_name", "last_name"];

/// The prefix of `customer_id` for a customer without an id.
const EMAIL_OWNER: &str = "email:";

/// The logged-in customer of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The email that the script gave.
    pub email: String,
    /// The owner of the customer's CRM data: the given id as text, or `email:` and the
    /// lower-cased email if there is no id.
    pub customer_id: String,
    /// The object that scripts and templates see as `customer`.
    pub customer: Value,
}

/// Why the fields of `setCustomer` were rejected. The text is for the author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CustomerError {
    /// The argument is not an object.
    #[error("setCustomer takes an object with at least `email`")]
    NotAnObject,
    /// There is no email.
    #[error("setCustomer needs `email`")]
    NoEmail,
    /// The email has no `@`.
    #[error("setCustomer: `email` must contain @")]
    NotAnEmail,
    /// The field of this name is not text.
    #[error("setCustomer: `{0}` must be text")]
    NotText(&'static str),
    /// The id would be the owner that stands for another customer's email.
    #[error(
        "setCustomer: an `id` that begins with `{EMAIL_OWNER}` must continue with the address in `email`, in lower case"
    )]
    ReservedId,
}

impl Identity {
    /// Makes the identity after `setCustomer(fields)`. Fields of an earlier login are kept
    /// unless they are personal and another person logs in.
    ///
    /// # Errors
    /// `fields` is not an object with a usable email, or has a field of the wrong type.
    pub(crate) fn merged(earlier: Option<&Self>, fields: &Value) -> Result<Self, CustomerError> {
        let fields = fields.as_object().ok_or(CustomerError::NotAnObject)?;
        let email = text(fields, "email")?.ok_or(CustomerError::NoEmail)?;
        if !email.contains('@') {
            return Err(CustomerError::NotAnEmail);
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
        // A visitor who can choose an id must not become the owner that stands for another
        // customer's email.
        if customer_id.starts_with(EMAIL_OWNER) && customer_id != email_owner(email) {
            return Err(CustomerError::ReservedId);
        }
        Ok(Self { email: email.to_owned(), customer_id, customer: Value::Object(customer) })
    }

    /// The owner of the CRM data that were written before the customer had an id.
    pub fn email_owner(&self) -> String {
        email_owner(&self.email)
    }

    /// The size that counts for `session_bytes_max`.
    pub(crate) fn bytes(&self) -> usize {
        self.email.len() + self.customer_id.len() + value::encode(&self.customer).len()
    }

    /// The bytes of memory that it holds.
    pub(crate) fn held_bytes(&self) -> usize {
        self.email.len() + self.customer_id.len() + value::held(&self.customer)
    }
}

/// Returns the owner of the CRM data of a customer without an id. Only ASCII letters are
/// lower-cased: the Kelvin sign, for example, would become `k` and thus another email.
pub(super) fn email_owner(email: &str) -> String {
    format!("{EMAIL_OWNER}{}", email.to_ascii_lowercase())
}

/// The fields of an earlier login that are kept: all of them for the same email, otherwise
/// those that are not personal.
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

/// The id as text. Only a text or a number can own CRM data.
fn customer_id(customer: &Map<String, Value>) -> Option<String> {
    match customer.get("id")? {
        Value::String(id) if !id.is_empty() => Some(id.clone()),
        Value::Number(id) => Some(ryu_js::Buffer::new().format(id.as_f64()?).to_owned()),
        _ => None,
    }
}

fn text<'a>(fields: &'a Map<String, Value>, key: &'static str) -> Result<Option<&'a str>, CustomerError> {
    match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(CustomerError::NotText(key)),
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
    fn first_login_derives_name_and_id() {
        let ann = login(None, json!({"email": "Ann@Example.com", "first_name": "Ann", "last_name": "Lee"}));
        assert_eq!(ann.customer_id, "email:ann@example.com");
        assert_eq!(
            ann.customer,
            json!({"email": "Ann@Example.com", "first_name": "Ann", "last_name": "Lee", "name": "Ann Lee"})
        );
    }

    #[test]
    fn same_email_keeps_all_fields() {
        let mut ann = login(None, json!({"email": "ann@example.com", "id": 7, "name": "Ann"}));
        ann.customer.as_object_mut().unwrap().insert("total".into(), json!(12));
        let again = login(Some(&ann), json!({"email": "ANN@example.com"}));
        assert_eq!(again.customer_id, "7");
        assert_eq!(again.customer["name"], "Ann");
        assert_eq!(again.customer["total"], 12);
    }

    #[test]
    fn another_email_drops_personal_fields() {
        let mut ann = login(None, json!({"email": "ann@example.com", "id": 7, "name": "Ann"}));
        ann.customer.as_object_mut().unwrap().insert("total".into(), json!(12));
        let bob = login(Some(&ann), json!({"email": "bob@example.com"}));
        assert_eq!(bob.customer_id, "email:bob@example.com");
        assert_eq!(bob.customer, json!({"email": "bob@example.com", "total": 12}));
    }

    #[test]
    fn only_text_and_numbers_become_the_owner_id() {
        for id in [json!({"a": 1}), json!(true), json!([])] {
            let who = login(None, json!({"email": "a@b", "id": id}));
            assert_eq!(who.customer["id"], id);
            assert_eq!(who.customer_id, "email:a@b");
        }
        assert_eq!(login(None, json!({"email": "a@b", "id": 1.5})).customer_id, "1.5");
        assert_eq!(login(None, json!({"email": "a@b", "id": "x9"})).customer_id, "x9");
    }

    #[test]
    fn rejects_an_id_that_stands_for_another_email() {
        let kelvin = login(None, json!({"email": "\u{212a}en@example.com"}));
        assert_ne!(kelvin.customer_id, login(None, json!({"email": "ken@example.com"})).customer_id);
        let taken =
            Identity::merged(None, &json!({"email": "eve@example.com", "id": "email:ken@example.com"}));
        assert_eq!(taken.unwrap_err(), CustomerError::ReservedId);
        let own = login(None, json!({"email": "Ken@example.com", "id": "email:ken@example.com"}));
        assert_eq!(own.customer_id, "email:ken@example.com");
    }

    #[test]
    fn rejects_bad_fields_with_the_reason() {
        for (fields, reason) in [
            (json!("a@b"), "setCustomer takes an object with at least `email`"),
            (json!({}), "setCustomer needs `email`"),
            (json!({"email": "nobody"}), "setCustomer: `email` must contain @"),
            (json!({"email": 1}), "setCustomer: `email` must be text"),
            (json!({"email": "a@b", "name": 1}), "setCustomer: `name` must be text"),
        ] {
            assert_eq!(Identity::merged(None, &fields).unwrap_err().to_string(), reason);
        }
    }
}
