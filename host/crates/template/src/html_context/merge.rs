//! Merges the states after several branches into one.

use super::{Gap, Machine, Quote, State, ValueKind, url};

impl Machine {
    /// The state after either of two branches, or `None` if a browser would read the following text
    /// differently after each.
    pub(crate) fn merge(&self, other: &Machine) -> Option<Machine> {
        let state = match (&self.state, &other.state) {
            (State::Text, State::Text) => State::Text,
            (State::Raw(a), State::Raw(b)) if a == b && self.element == other.element => {
                State::Raw(a.clone())
            }
            (State::AttributeName | State::AfterAttributeName | State::BeforeValue, _)
                if self.state == other.state && self.attribute == other.attribute =>
            {
                self.state.clone()
            }
            (State::Value { quote: a, kind: ka }, State::Value { quote: b, kind: kb }) if a == b => {
                let kind = match merge_kinds(ka, kb) {
                    Some(kind) => kind,
                    None if *a == Quote::None => return self.merge_gaps(other),
                    None => return None,
                };
                State::Value { quote: *a, kind }
            }
            (State::BeforeValue, State::BeforeValue) => return None,
            (State::Gap(_) | State::TagName, _)
            | (State::AttributeName | State::AfterAttributeName, _)
            | (State::Value { quote: Quote::None, .. }, _) => return self.merge_gaps(other),
            (a, b) if a == b => a.clone(),
            _ => return None,
        };
        let same_tag = self.element == other.element && self.closing == other.closing;
        let in_tag = matches!(
            state,
            State::AttributeName
                | State::AfterAttributeName
                | State::BeforeValue
                | State::Value { .. }
                | State::SelfClosing
        );
        if in_tag && !same_tag {
            return None;
        }
        let refresh = self.refresh.merge(&other.refresh);
        Some(Machine { state, refresh, tree: self.tree.merge(&other.tree), ..self.clone() })
    }

    /// Merges states in the same tag, but in different parts of it.
    fn merge_gaps(&self, other: &Machine) -> Option<Machine> {
        if self.element != other.element || self.closing != other.closing {
            return None;
        }
        let gap = match (self.gap()?, other.gap()?) {
            (a, b) if a == b => a,
            (Gap::Spaced | Gap::MergedSpaced, Gap::Spaced | Gap::MergedSpaced) => Gap::MergedSpaced,
            (a, b) => {
                Gap::Merged { slash: a != Gap::Merged { slash: false } && b != Gap::Merged { slash: false } }
            }
        };
        let refresh = self.refresh.merge(&other.refresh);
        Some(Machine { state: State::Gap(gap), refresh, tree: self.tree.merge(&other.tree), ..self.clone() })
    }

    /// The gap with the strictest rules that a state inside a tag can become.
    fn gap(&self) -> Option<Gap> {
        match &self.state {
            State::Gap(gap) => Some(*gap),
            State::TagName | State::AttributeName => Some(Gap::Merged { slash: true }),
            State::AfterAttributeName => Some(Gap::MergedSpaced),
            State::Value { quote: Quote::None, .. } => Some(Gap::Merged { slash: false }),
            _ => None,
        }
    }

    /// Whether the following text is read the same after `self` as after `other`.
    pub(crate) fn same_context(&self, other: &Machine) -> bool {
        self.state == other.state && self.tree == other.tree && self.merge(other).is_some()
    }
}

fn merge_kinds(a: &ValueKind, b: &ValueKind) -> Option<ValueKind> {
    match (a, b) {
        (ValueKind::Url(a), ValueKind::Url(b)) => url::merge(a, b).map(ValueKind::Url),
        (ValueKind::Document(a), ValueKind::Document(b)) => a.merge(b).map(Box::new).map(ValueKind::Document),
        (a, b) => (a == b).then(|| a.clone()),
    }
}
