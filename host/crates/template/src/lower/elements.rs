//! Builds Handlebars' template elements.

use std::collections::HashMap;

use handlebars::Template;
use handlebars::template::{ExpressionSpecBuilder, HelperTemplate, Parameter, TemplateElement};

/// The helpers that a compiled page calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Helper {
    Print,
    /// Renders the first of its [`branch`]es whose test holds.
    Choose,
    Each,
    Set,
    Component,
}

impl Helper {
    /// All helpers.
    pub(crate) const ALL: [Helper; 5] =
        [Helper::Print, Helper::Choose, Helper::Each, Helper::Set, Helper::Component];

    /// The name that Handlebars calls it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Helper::Print => "print",
            Helper::Choose => "choose",
            Helper::Each => "each",
            Helper::Set => "set",
            Helper::Component => "component",
        }
    }
}

/// A template with these elements.
pub(super) fn template(elements: Vec<TemplateElement>) -> Template {
    let mut template = Template::default();
    template.elements = elements;
    template
}

/// Literal text.
pub(super) fn text(text: String) -> TemplateElement {
    TemplateElement::RawString(text)
}

/// `{{helper number}}`
pub(super) fn call(helper: Helper, action: usize) -> TemplateElement {
    match helper_template(helper.name(), Some(action), false) {
        Some(call) => TemplateElement::Expression(Box::new(call)),
        None => text(String::new()),
    }
}

/// `{{#helper number}}…{{/helper}}`
pub(super) fn block(helper: Helper, action: Option<usize>, body: Vec<TemplateElement>) -> TemplateElement {
    named_block(helper.name(), action, body)
}

/// `{{#branch number}}…{{/branch}}` in a `choose`. The `else` branch has no number.
pub(super) fn branch(test: Option<usize>, body: Vec<TemplateElement>) -> TemplateElement {
    named_block("branch", test, body)
}

fn named_block(name: &str, action: Option<usize>, body: Vec<TemplateElement>) -> TemplateElement {
    match helper_template(name, action, true) {
        Some(mut block) => {
            block.template = Some(template(body));
            TemplateElement::HelperBlock(Box::new(block))
        }
        None => text(String::new()),
    }
}

/// The number with which a helper is called.
pub(crate) fn action_of(helper: &HelperTemplate) -> Option<usize> {
    match helper.params.first() {
        Some(Parameter::Literal(number)) => usize::try_from(number.as_u64()?).ok(),
        _ => None,
    }
}

fn helper_template(name: &str, action: Option<usize>, block: bool) -> Option<HelperTemplate> {
    // The builder fails only if a field is missing, and none is.
    let expression = ExpressionSpecBuilder::default()
        .name(Parameter::Name(name.to_owned()))
        .params(action.map(|action| Parameter::Literal(action.into())).into_iter().collect())
        .hash(HashMap::new())
        .omit_pre_ws(false)
        .omit_pro_ws(false)
        .build()
        .ok()?;
    Some(HelperTemplate::new(expression, block, false))
}
