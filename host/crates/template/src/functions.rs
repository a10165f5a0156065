//! Functions: `{{ name(argument, argument) }}`. `docs/templates.md` lists them.

use sluice_text::suggest;

use crate::filters::{ArgumentCountError, Filter};
use crate::mistake::Mistake;

/// A function that templates can call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    ClearSessionItem,
    DefaultLocale,
    FormatPrice,
    GetCustomer,
    GetSessionItem,
    GetUser,
    Locale,
    Locales,
    SetSessionItem,
    Translate,
    Translations,
    /// The CRM call that has this name in scripts.
    Crm(&'static str),
}

/// The name of each function but the CRM calls, and the fewest and most arguments that it takes.
const FUNCTIONS: &[(&str, Function, usize, usize)] = &[
    ("clearSessionItem", Function::ClearSessionItem, 1, 1),
    ("defaultLocale", Function::DefaultLocale, 0, 0),
    ("formatPrice", Function::FormatPrice, 1, 2),
    ("getCustomer", Function::GetCustomer, 0, 0),
    ("getResolvedLanguage", Function::Locale, 0, 0),
    ("getSessionItem", Function::GetSessionItem, 1, 1),
    ("getTranslation", Function::Translate, 1, 2),
    ("getTranslations", Function::Translations, 0, 0),
    ("getUser", Function::GetUser, 0, 0),
    ("locales", Function::Locales, 0, 0),
    ("setSessionItem", Function::SetSessionItem, 1, 2),
    ("t", Function::Translate, 1, 2),
];

/// The CRM calls, by their names in scripts. Each has a second name with a capital letter at its
/// beginning: `getCrmField` and `GetCrmField`. A call takes one record of options.
const CRM_CALLS: [&str; 22] = [
    "addCrmFieldValue",
    "clearCrmEntries",
    "countCrmEntries",
    "createCrmEntry",
    "deleteCrmEntry",
    "ensureCrmEntity",
    "findCrmEntries",
    "getCrmEntries",
    "getCrmEntry",
    "getCrmField",
    "getCrmFieldValues",
    "getCrmFields",
    "moveCrmLead",
    "moveCrmToEntity",
    "moveCrmToPipeline",
    "moveCrmToStage",
    "reassignCrmReference",
    "removeCrmRelation",
    "setCrmField",
    "setCrmFields",
    "setCrmRelation",
    "updateCrmEntry",
];

impl Function {
    /// The function with this name.
    pub(super) fn find(name: &str) -> Result<Function, Mistake> {
        if let Some((_, function, ..)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) {
            return Ok(*function);
        }
        if let Some(call) = CRM_CALLS.iter().find(|call| **call == name || capital(call) == name) {
            return Ok(Function::Crm(call));
        }
        if Filter::find(name).is_some() {
            return Err(Mistake::FilterCalled(name.to_owned()));
        }
        let own = FUNCTIONS.iter().map(|(known, ..)| (*known).to_owned());
        let calls = CRM_CALLS.iter().flat_map(|call| [(*call).to_owned(), capital(call)]);
        let names: Vec<String> = own.chain(calls).chain(["dump".to_owned()]).collect();
        let suggestion = suggest::nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
        Err(Mistake::UnknownFunction { name: name.to_owned(), suggestion })
    }

    /// Whether it needs the session or the CRM.
    pub(super) fn asks_host(self) -> bool {
        use Function::{ClearSessionItem, Crm, GetSessionItem, SetSessionItem};
        matches!(self, ClearSessionItem | GetSessionItem | SetSessionItem | Crm(_))
    }

    /// Whether it calls the CRM.
    pub(super) fn asks_crm(self) -> bool {
        matches!(self, Function::Crm(_))
    }

    /// Whether it needs the customer.
    pub(super) fn names_customer(self) -> bool {
        matches!(self, Function::GetCustomer | Function::GetUser)
    }

    /// Whether it needs the visitor's language.
    pub(super) fn translates(self) -> bool {
        use Function::{DefaultLocale, Locale, Locales, Translate, Translations};
        matches!(self, DefaultLocale | Locale | Locales | Translate | Translations)
    }

    /// Checks the number of arguments.
    pub(super) fn check_args(self, given: usize) -> Result<(), ArgumentCountError> {
        let row = FUNCTIONS.iter().find(|(_, function, ..)| *function == self);
        let (name, least, most) = match (self, row) {
            (Function::Crm(name), _) => (name, 1, 1),
            (_, Some((name, _, least, most))) => (*name, *least, *most),
            (_, None) => return Ok(()),
        };
        match (least..=most).contains(&given) {
            true => Ok(()),
            false => Err(ArgumentCountError { name, least, most, given }),
        }
    }
}

/// `GetCrmField` for `getCrmField`.
fn capital(name: &str) -> String {
    let mut name = name.to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The arguments are counted for what a function does, so all of its names must take the same.
    #[test]
    fn counts_the_arguments_of_every_name() {
        for (name, function, least, most) in FUNCTIONS {
            for given in 0..4 {
                let is_taken = function.check_args(given).is_ok();
                assert_eq!(is_taken, (*least..=*most).contains(&given), "{name} with {given} arguments");
            }
        }
    }

    #[test]
    fn finds_functions_by_either_name_and_suggests_similar_ones() {
        for name in ["getCrmField", "GetCrmField"] {
            assert_eq!(Function::find(name).ok(), Some(Function::Crm("getCrmField")));
        }
        assert_eq!(Function::find("getSessionItem").ok(), Some(Function::GetSessionItem));
        for (name, expected) in [
            ("getSesionItem", "there is no function \"getSesionItem\" getSessionItem"),
            ("GetCrmFeild", "there is no function \"GetCrmFeild\" GetCrmField"),
            ("GetSessionItem", "there is no function \"GetSessionItem\" getSessionItem"),
            ("getOrders", "there is no function \"getOrders\" "),
            ("upper", "\"upper\" is a filter; write {{ value | upper }} "),
        ] {
            let mistake = Function::find(name).err();
            let text =
                mistake.map(|mistake| format!("{mistake} {}", mistake.suggestion().unwrap_or_default()));
            assert_eq!(text.as_deref(), Some(expected));
        }
    }
}
